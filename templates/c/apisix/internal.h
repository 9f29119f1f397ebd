/* What apisix_filter.c and apisix_json.c share; not for filters. */
#ifndef APISIX_INTERNAL_H
#define APISIX_INTERNAL_H

#include "apisix_filter.h"

/* How many bytes the UTF-8 character at `at` takes; 0 where there is none. */
size_t apisix_utf8_length(const char *at, size_t left);

/* Leaves the reason for apisix_error() and returns false. */
bool apisix_refuse(apisix_error_kind kind, apisix_text text);

#endif
