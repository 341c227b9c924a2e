/*
 * scenario: a text file that tells a story to the gate in virtual time, and what must come of it. The format
 * is described in tests/sim/README.md.
 */
#ifndef SIM_SCENARIO_H
#define SIM_SCENARIO_H

/* Plays the file. 0, or -1 after printing `file:line: what went wrong`. */
int scenario_play(const char *path);

#endif
