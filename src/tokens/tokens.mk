# The tables of the tokens layer, included by the Makefile. Programs that run on the machine that builds (tools/vocab)
# expand the compact data of src/tokens/data into the tables that the code searches; src/tokens/tables.S embeds those.

HOSTCC       ?= $(CC)
HOST_CFLAGS  ?= -O2
VOCAB        := $(BUILD)/vocab
VOCAB_TABLES := $(VOCAB)/o200k_base.tables $(VOCAB)/cl100k_base.tables $(VOCAB)/unicode.tables
VOCAB_PROGS  := $(addprefix $(VOCAB)/,expand expand_classes pack classes)
vocab_cc      = $(HOSTCC) -D_GNU_SOURCE -std=c11 $(HOST_CFLAGS) $(WARN) $(WERROR) -Iinclude -o $@ $(filter %.c,$^)

$(VOCAB)/expand: $(addprefix tools/vocab/,expand.c trie.c vocab.c sha256.c)
$(VOCAB)/expand_classes: $(addprefix tools/vocab/,expand_classes.c vocab.c sha256.c)
$(VOCAB)/pack: $(addprefix tools/vocab/,pack.c vocab.c sha256.c)
$(VOCAB)/classes: $(addprefix tools/vocab/,classes.c vocab.c sha256.c)
$(VOCAB_PROGS): $(wildcard tools/vocab/*.h) include/metergate/tokens/tables.h
	@mkdir -p $(@D)
	$(vocab_cc)

$(VOCAB)/unicode.tables: src/tokens/data/unicode.runs $(VOCAB)/expand_classes
	$(VOCAB)/expand_classes $< $@
$(VOCAB)/%.tables: src/tokens/data/%.pairs $(VOCAB)/expand
	$(VOCAB)/expand $* $< $@

$(BUILD)/obj/src/tokens/tables.data.o: src/tokens/tables.S $(VOCAB_TABLES)
	@mkdir -p $(@D)
	$(CC) -c -Wa,-I$(VOCAB) -o $@ $<
$(BUILD)/libtokens.a: $(BUILD)/obj/src/tokens/tables.data.o

# `make vocab-data TIKTOKEN=DIR UNICODE=DIR` makes the compact data again: from OpenAI's *.tiktoken files, and from
# UnicodeData.txt and PropList.txt.
.PHONY: vocab-data
vocab-data: $(VOCAB)/pack $(VOCAB)/classes
	$(VOCAB)/pack o200k_base $(TIKTOKEN)/o200k_base.tiktoken src/tokens/data/o200k_base.pairs
	$(VOCAB)/pack cl100k_base $(TIKTOKEN)/cl100k_base.tiktoken src/tokens/data/cl100k_base.pairs
	$(VOCAB)/classes $(UNICODE)/UnicodeData.txt $(UNICODE)/PropList.txt src/tokens/data/unicode.runs
