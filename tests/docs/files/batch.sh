#!/bin/sh
python3 nightly.py
