/* SPDX-License-Identifier: BSD-3-Clause */
/* What text.c does for the other parts. */
#ifndef SS_HTTP_TEXT_H
#define SS_HTTP_TEXT_H

#include <stddef.h>

/* Length of the valid UTF-8 sequence at p, 0 if it is not one; n > 0. */
size_t http_utf8_length(const unsigned char *p, size_t n);

#endif
