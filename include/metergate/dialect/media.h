/*
 * media: what an image, a sound, a film or a document in a request costs, for counter.c and the dialects:
 * what holds it is an `image_url`, an `input_audio`, a `source`, an `inlineData`, a `fileData`, ...
 */
#ifndef METERGATE_DIALECT_MEDIA_H
#define METERGATE_DIALECT_MEDIA_H

#include "metergate/dialect/counter.h"

/*
 * `value` is JSON as it stands; `before` the block that it is in up to there, or the name of the member;
 * `detail` what the block says beside it. Texts in it are counted, images and sounds by their sizes, what is
 * given by an id or address as hidden input.
 */
void media_count(struct counter *k, struct slice before, struct slice value, struct slice detail);

#endif
