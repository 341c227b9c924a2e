/*
 * handlers: the endpoints of the OpenAI dialect. Each admits the exchange first and then answers it.
 */
#ifndef SIMULATOR_HANDLERS_H
#define SIMULATOR_HANDLERS_H

struct exchange;

void chat_serve(struct exchange *x);
void embeddings_serve(struct exchange *x);
void models_serve(struct exchange *x);
void files_upload(struct exchange *x);
void files_download(struct exchange *x);

/* Any other path: says what it was sent. */
void echo_serve(struct exchange *x);

#endif
