/* handlers: the endpoints. Each admits the exchange first and then answers it. */
#ifndef SIMULATOR_HANDLERS_H
#define SIMULATOR_HANDLERS_H

struct exchange;

void chat_serve(struct exchange *x);
void completions_serve(struct exchange *x);
void embeddings_serve(struct exchange *x);
void responses_serve(struct exchange *x);
void responses_count(struct exchange *x);
void responses_retrieve(struct exchange *x);
void images_serve(struct exchange *x);
void speech_serve(struct exchange *x);
void transcription_serve(struct exchange *x);
void moderation_serve(struct exchange *x);
void anthropic_messages(struct exchange *x);
void anthropic_count(struct exchange *x);
void gemini_serve(struct exchange *x);
void ollama_serve(struct exchange *x);
void ollama_tags(struct exchange *x);
void models_serve(struct exchange *x);
void files_upload(struct exchange *x);
void files_download(struct exchange *x);

/* Any other path: says what it was sent. */
void echo_serve(struct exchange *x);

#endif
