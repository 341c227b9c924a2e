/*
 * pack NAME IN.tiktoken OUT.pairs: OpenAI's published text of a vocabulary to the compact form that
 * src/tokens/data/ holds.
 *
 * The text is refused unless it is the published one, and what was written is read back and must expand to
 * it.
 */
#include "vocab.h"

int main(int argc, char **argv)
{
    struct vocab v;

    if (argc != 4)
        vocab_die("usage: pack NAME IN.tiktoken OUT.pairs");
    vocab_load_tiktoken(&v, argv[1], argv[2]);
    vocab_check(&v);
    vocab_save_pairs(&v, argv[3]);
    vocab_release(&v);
    vocab_load_pairs(&v, argv[1], argv[3]);
    vocab_check(&v);
    vocab_release(&v);
    return 0;
}
