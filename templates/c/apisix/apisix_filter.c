/* The code behind apisix_filter.h: memory, texts, the way to and from the
 * generated bindings. It does not know what a filter does. */
#include "apisix_filter.h"
#include "internal.h"

#include "../bindings/filter.h"

#include <stdlib.h>
#include <string.h>

/* ---- Memory ---- */

/* What most calls need in total: no page beyond those of the module is touched.
 * More comes from malloc. */
#ifndef APISIX_FIRST_BLOCK
#define APISIX_FIRST_BLOCK 16384
#endif

enum { ALIGN = 8 };

typedef struct block {
    struct block *before;
    uint64_t bytes[];
} block;

static _Alignas(ALIGN) char first_block[APISIX_FIRST_BLOCK];
static size_t used;
static block *blocks;

/* Where `configure` ended: calls give back what is beyond. */
static size_t kept;
static block *kept_blocks;

void *apisix_allocate(size_t size)
{
    size_t free_bytes = APISIX_FIRST_BLOCK - used;
    if (size <= free_bytes) {
        char *found = first_block + used;
        size_t rounded = (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
        used += rounded < free_bytes ? rounded : free_bytes;
        memset(found, 0, size);
        return found;
    }
    if (size > SIZE_MAX - sizeof(block))
        __builtin_trap();
    block *made = (block *)calloc(1, sizeof(block) + size);
    if (made == NULL)
        __builtin_trap();
    made->before = blocks;
    blocks = made;
    return made->bytes;
}

static void keep(void)
{
    kept = used;
    kept_blocks = blocks;
}

static void give_back(void)
{
    used = kept;
    while (blocks != kept_blocks) {
        block *before = blocks->before;
        free(blocks);
        blocks = before;
    }
}

/* The host puts what it hands over here. The byte behind it makes a C string of
 * every text. Stronger than the one of the bindings, which takes malloc's. */
__attribute__((__export_name__("cabi_realloc"))) void *cabi_realloc(void *old, size_t old_size,
                                                                    size_t align, size_t size)
{
    if (size == SIZE_MAX)
        __builtin_trap();
    /* Nothing in wit/ is aligned so. What gives WASI to programs that need it (C++
     * streams, printf) is, and keeps it for as long as the instance lives. */
    if (align > 4) {
        void *lasting = realloc(old, size);
        if (lasting == NULL)
            __builtin_trap();
        return lasting;
    }
    char *made = (char *)apisix_allocate(size + 1);
    if (old_size != 0)
        memcpy(made, old, old_size < size ? old_size : size);
    return made;
}

/* What the host calls when it has read a result. The bindings' own would give
 * back each part of it to malloc, where it does not come from. */
__attribute__((__export_name__("cabi_post_apisix:filter/configuration@0.1.0#configure"))) void
__wasm_export_exports_apisix_filter_configuration_configure_post_return(uint8_t *result)
{
    (void)result;
}

__attribute__((__export_name__("cabi_post_apisix:filter/request-handler@0.1.0#on-request"))) void
__wasm_export_exports_apisix_filter_request_handler_on_request_post_return(uint8_t *result)
{
    (void)result;
    give_back();
}

__attribute__((__export_name__("cabi_post_apisix:filter/response-handler@0.1.0#on-response"))) void
__wasm_export_exports_apisix_filter_response_handler_on_response_post_return(uint8_t *result)
{
    (void)result;
    give_back();
}

/* ---- Texts ---- */

apisix_text apisix_bytes(const void *bytes, size_t len)
{
    apisix_text text = {(const char *)bytes, len};
    return text;
}

apisix_text apisix_text_of(const char *c_string)
{
    return apisix_bytes(c_string, c_string == NULL ? 0 : strlen(c_string));
}

static char lower(char letter)
{
    return letter >= 'A' && letter <= 'Z' ? (char)(letter | 0x20) : letter;
}

bool(apisix_equal)(apisix_text a, apisix_text b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool(apisix_equal_in_any_case)(apisix_text a, apisix_text b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (lower(a.ptr[i]) != lower(b.ptr[i]))
            return false;
    return true;
}

bool(apisix_starts_with)(apisix_text text, apisix_text start)
{
    return text.len >= start.len && apisix_equal(apisix_bytes(text.ptr, start.len), start);
}

bool(apisix_ends_with)(apisix_text text, apisix_text end)
{
    if (text.len < end.len)
        return false;
    return end.len == 0 || memcmp(text.ptr + (text.len - end.len), end.ptr, end.len) == 0;
}

apisix_text(apisix_lower)(apisix_text text)
{
    char *copy = (char *)apisix_allocate(text.len + 1);
    for (size_t i = 0; i < text.len; i++)
        copy[i] = lower(text.ptr[i]);
    return apisix_bytes(copy, text.len);
}

apisix_text apisix_concat_all(apisix_text a, apisix_text b, apisix_text c, apisix_text d,
                              apisix_text e, apisix_text f, apisix_text g, apisix_text h,
                              apisix_nothing end)
{
    const apisix_text parts[] = {a, b, c, d, e, f, g, h};
    const size_t count = sizeof parts / sizeof parts[0];
    size_t len = 0;
    (void)end;
    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(len, parts[i].len, &len))
            __builtin_trap();
    char *made = (char *)apisix_allocate(len + 1);
    char *at = made;
    for (size_t i = 0; i < count; i++) {
        if (parts[i].len == 0)
            continue;
        memcpy(at, parts[i].ptr, parts[i].len);
        at += parts[i].len;
    }
    return apisix_bytes(made, len);
}

apisix_text apisix_decimal(int64_t number)
{
    /* A sign, nineteen digits, the NUL. */
    char *end = (char *)apisix_allocate(21) + 20;
    char *at = end;
    uint64_t rest = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    do {
        *--at = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (number < 0)
        *--at = '-';
    return apisix_bytes(at, (size_t)(end - at));
}

size_t apisix_utf8_length(const char *at, size_t left)
{
    const unsigned char *bytes = (const unsigned char *)at;
    if (left == 0)
        return 0;
    if (bytes[0] < 0x80)
        return 1;
    /* The second byte's range excludes overlong forms, surrogates and what is
     * beyond U+10FFFF. */
    unsigned char low = 0x80, high = 0xbf;
    size_t length;
    if (bytes[0] >= 0xc2 && bytes[0] <= 0xdf) {
        length = 2;
    } else if (bytes[0] >= 0xe0 && bytes[0] <= 0xef) {
        length = 3;
        if (bytes[0] == 0xe0)
            low = 0xa0;
        if (bytes[0] == 0xed)
            high = 0x9f;
    } else if (bytes[0] >= 0xf0 && bytes[0] <= 0xf4) {
        length = 4;
        if (bytes[0] == 0xf0)
            low = 0x90;
        if (bytes[0] == 0xf4)
            high = 0x8f;
    } else {
        return 0;
    }
    if (left < length || bytes[1] < low || bytes[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if (bytes[i] < 0x80 || bytes[i] > 0xbf)
            return 0;
    return length;
}

/* The host takes a `string` only if it is UTF-8, and traps the filter otherwise:
 * what came from a client must not be able to do that. */
static filter_string_t to_string(apisix_text text)
{
    size_t broken = 0;
    size_t step;
    for (size_t i = 0; i < text.len; i += step == 0 ? 1 : step) {
        step = apisix_utf8_length(text.ptr + i, text.len - i);
        broken += step == 0;
    }
    filter_string_t string = {(uint8_t *)(uintptr_t)text.ptr, text.len};
    if (broken == 0)
        return string;
    if (broken > (SIZE_MAX - text.len) / 2)
        __builtin_trap();
    string.ptr = (uint8_t *)apisix_allocate(text.len + 2 * broken);
    string.len = 0;
    for (size_t i = 0; i < text.len; i += step == 0 ? 1 : step) {
        step = apisix_utf8_length(text.ptr + i, text.len - i);
        const char *from = step == 0 ? "\xef\xbf\xbd" : text.ptr + i;
        size_t length = step == 0 ? 3 : step;
        memcpy(string.ptr + string.len, from, length);
        string.len += length;
    }
    return string;
}

static filter_list_u8_t to_bytes(apisix_text text)
{
    filter_list_u8_t list = {(uint8_t *)(uintptr_t)text.ptr, text.len};
    return list;
}

/* The host does not allocate for an empty text: its pointer means nothing. */
static apisix_text from_bytes(filter_list_u8_t list)
{
    return list.len == 0 ? apisix_bytes("", 0) : apisix_bytes(list.ptr, list.len);
}

static apisix_text from_string(filter_string_t string)
{
    return string.len == 0 ? apisix_bytes("", 0) : apisix_bytes(string.ptr, string.len);
}

static apisix_text from_option(filter_option_list_u8_t option)
{
    return option.is_some ? from_bytes(option.val) : apisix_bytes(NULL, 0);
}

static void *array(size_t count, size_t size)
{
    size_t total;
    if (__builtin_mul_overflow(count, size, &total))
        __builtin_trap();
    return apisix_allocate(total);
}

static apisix_texts from_list(filter_list_list_u8_t list)
{
    apisix_text *items = (apisix_text *)array(list.len, sizeof *items);
    for (size_t i = 0; i < list.len; i++)
        items[i] = from_bytes(list.ptr[i]);
    apisix_texts texts = {items, list.len};
    return texts;
}

static apisix_texts from_list_of_options(filter_list_option_list_u8_t list)
{
    apisix_text *items = (apisix_text *)array(list.len, sizeof *items);
    for (size_t i = 0; i < list.len; i++)
        items[i] = from_option(list.ptr[i]);
    apisix_texts texts = {items, list.len};
    return texts;
}

static apisix_pairs from_headers(const apisix_filter_types_header_entry_bytes_t *entries,
                                 size_t count)
{
    apisix_pair *items = (apisix_pair *)array(count, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        items[i].name = from_bytes(entries[i].name);
        items[i].value = from_bytes(entries[i].value);
    }
    apisix_pairs pairs = {items, count};
    return pairs;
}

/* ---- Errors ---- */

static apisix_error_kind error_kind;
static apisix_text error_text;

apisix_text apisix_error(void)
{
    return error_text.ptr == NULL ? apisix_bytes("", 0) : error_text;
}

apisix_error_kind apisix_error_is(void)
{
    return error_kind;
}

bool apisix_refuse(apisix_error_kind kind, apisix_text text)
{
    error_kind = kind;
    error_text = text;
    return false;
}

/* Every case carries a text in the same place. */
static bool done(bool success, const apisix_filter_types_error_t *error)
{
    return success || apisix_refuse((apisix_error_kind)error->tag, from_string(error->val.other));
}

/* ---- The request ---- */

bool apisix_request_id(uint32_t *id)
{
    apisix_filter_types_error_t error;
    return done(apisix_filter_request_id(id, &error), &error);
}

bool apisix_request_method(apisix_text *method)
{
    apisix_filter_types_error_t error;
    filter_string_t found = {NULL, 0};
    bool success = apisix_filter_request_method(&found, &error);
    *method = from_string(found);
    return done(success, &error);
}

bool apisix_request_source_address(apisix_text *address)
{
    apisix_filter_types_error_t error;
    filter_string_t found = {NULL, 0};
    bool success = apisix_filter_request_source_address(&found, &error);
    *address = from_string(found);
    return done(success, &error);
}

bool apisix_request_path(apisix_text *path)
{
    apisix_filter_types_error_t error;
    filter_list_u8_t found = {NULL, 0};
    bool success = apisix_filter_request_path_bytes(&found, &error);
    *path = from_bytes(found);
    return done(success, &error);
}

bool(apisix_request_set_path)(apisix_text path)
{
    apisix_filter_types_error_t error;
    filter_list_u8_t bytes = to_bytes(path);
    return done(apisix_filter_request_set_path_bytes(&bytes, &error), &error);
}

bool(apisix_request_header)(apisix_text name, apisix_text *value)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(name);
    filter_option_list_u8_t found = {false, {NULL, 0}};
    bool success = apisix_filter_request_header_bytes(&string, &found, &error);
    *value = from_option(found);
    return done(success, &error);
}

bool(apisix_request_header_values)(apisix_text name, apisix_texts *values)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(name);
    filter_list_list_u8_t found = {NULL, 0};
    bool success = apisix_filter_request_header_values_bytes(&string, &found, &error);
    *values = from_list(found);
    return done(success, &error);
}

bool apisix_request_headers(apisix_pairs *headers)
{
    apisix_filter_types_error_t error;
    apisix_filter_request_list_header_entry_bytes_t found = {NULL, 0};
    bool success = apisix_filter_request_headers_bytes(&found, &error);
    *headers = from_headers(found.ptr, found.len);
    return done(success, &error);
}

bool(apisix_request_set_header)(apisix_text name, apisix_text value)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(name);
    filter_list_u8_t bytes = to_bytes(value);
    return done(apisix_filter_request_set_header_bytes(&string, &bytes, &error), &error);
}

bool(apisix_request_add_header)(apisix_text name, apisix_text value)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(name);
    filter_list_u8_t bytes = to_bytes(value);
    return done(apisix_filter_request_add_header_bytes(&string, &bytes, &error), &error);
}

bool(apisix_request_remove_header)(apisix_text name)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(name);
    return done(apisix_filter_request_remove_header(&string, &error), &error);
}

bool(apisix_request_arg)(apisix_text name, apisix_arg *arg)
{
    apisix_filter_types_error_t error;
    filter_list_u8_t bytes = to_bytes(name);
    apisix_filter_request_option_arg_entry_bytes_t found;
    memset(&found, 0, sizeof found);
    bool success = apisix_filter_request_arg_bytes(&bytes, &found, &error);
    arg->found = found.is_some;
    arg->value = found.is_some ? from_option(found.val.value) : apisix_bytes(NULL, 0);
    return done(success, &error);
}

bool(apisix_request_arg_values)(apisix_text name, apisix_texts *values)
{
    apisix_filter_types_error_t error;
    filter_list_u8_t bytes = to_bytes(name);
    filter_list_option_list_u8_t found = {NULL, 0};
    bool success = apisix_filter_request_arg_values_bytes(&bytes, &found, &error);
    *values = from_list_of_options(found);
    return done(success, &error);
}

bool apisix_request_args(apisix_pairs *args)
{
    apisix_filter_types_error_t error;
    apisix_filter_request_list_arg_entry_bytes_t found = {NULL, 0};
    bool success = apisix_filter_request_args_bytes(&found, &error);
    apisix_pair *items = (apisix_pair *)array(found.len, sizeof *items);
    for (size_t i = 0; i < found.len; i++) {
        items[i].name = from_bytes(found.ptr[i].name);
        items[i].value = from_option(found.ptr[i].value);
    }
    args->items = items;
    args->count = found.len;
    return done(success, &error);
}

bool(apisix_request_set_arg)(apisix_text name, apisix_text value)
{
    apisix_filter_types_error_t error;
    filter_list_u8_t name_bytes = to_bytes(name), bytes = to_bytes(value);
    return done(apisix_filter_request_set_arg_bytes(&name_bytes, &bytes, &error), &error);
}

bool(apisix_request_add_arg)(apisix_text name, apisix_text value)
{
    apisix_filter_types_error_t error;
    filter_list_u8_t name_bytes = to_bytes(name), bytes = to_bytes(value);
    return done(apisix_filter_request_add_arg_bytes(&name_bytes, &bytes, &error), &error);
}

bool(apisix_request_remove_arg)(apisix_text name)
{
    apisix_filter_types_error_t error;
    filter_list_u8_t bytes = to_bytes(name);
    return done(apisix_filter_request_remove_arg_bytes(&bytes, &error), &error);
}

bool apisix_request_body(apisix_text *body)
{
    apisix_filter_types_error_t error;
    filter_option_list_u8_t found = {false, {NULL, 0}};
    bool success = apisix_filter_request_body(&found, &error);
    *body = from_option(found);
    return done(success, &error);
}

bool(apisix_request_set_body)(apisix_text body)
{
    apisix_filter_types_error_t error;
    filter_list_u8_t bytes = to_bytes(body);
    return done(apisix_filter_request_set_body(&bytes, &error), &error);
}

bool(apisix_request_set_response_header)(apisix_text name, apisix_text value)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(name);
    filter_list_u8_t bytes = to_bytes(value);
    return done(apisix_filter_request_set_response_header_bytes(&string, &bytes, &error), &error);
}

bool(apisix_request_add_response_header)(apisix_text name, apisix_text value)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(name);
    filter_list_u8_t bytes = to_bytes(value);
    return done(apisix_filter_request_add_response_header_bytes(&string, &bytes, &error), &error);
}

/* ---- The response ---- */

bool apisix_response_id(uint32_t *id)
{
    apisix_filter_types_error_t error;
    return done(apisix_filter_response_id(id, &error), &error);
}

bool apisix_response_status(uint16_t *status)
{
    apisix_filter_types_error_t error;
    return done(apisix_filter_response_status(status, &error), &error);
}

bool apisix_response_set_status(uint16_t status)
{
    apisix_filter_types_error_t error;
    return done(apisix_filter_response_set_status(status, &error), &error);
}

bool(apisix_response_header)(apisix_text name, apisix_text *value)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(name);
    filter_option_list_u8_t found = {false, {NULL, 0}};
    bool success = apisix_filter_response_header_bytes(&string, &found, &error);
    *value = from_option(found);
    return done(success, &error);
}

bool(apisix_response_header_values)(apisix_text name, apisix_texts *values)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(name);
    filter_list_list_u8_t found = {NULL, 0};
    bool success = apisix_filter_response_header_values_bytes(&string, &found, &error);
    *values = from_list(found);
    return done(success, &error);
}

bool apisix_response_headers(apisix_pairs *headers)
{
    apisix_filter_types_error_t error;
    apisix_filter_response_list_header_entry_bytes_t found = {NULL, 0};
    bool success = apisix_filter_response_headers_bytes(&found, &error);
    *headers = from_headers(found.ptr, found.len);
    return done(success, &error);
}

bool(apisix_response_set_header)(apisix_text name, apisix_text value)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(name);
    filter_list_u8_t bytes = to_bytes(value);
    return done(apisix_filter_response_set_header_bytes(&string, &bytes, &error), &error);
}

bool(apisix_response_add_header)(apisix_text name, apisix_text value)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(name);
    filter_list_u8_t bytes = to_bytes(value);
    return done(apisix_filter_response_add_header_bytes(&string, &bytes, &error), &error);
}

bool(apisix_response_remove_header)(apisix_text name)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(name);
    return done(apisix_filter_response_remove_header(&string, &error), &error);
}

bool apisix_response_body(apisix_text *body)
{
    apisix_filter_types_error_t error;
    filter_option_list_u8_t found = {false, {NULL, 0}};
    bool success = apisix_filter_response_body(&found, &error);
    *body = from_option(found);
    return done(success, &error);
}

bool(apisix_response_set_body)(apisix_text body)
{
    apisix_filter_types_error_t error;
    filter_list_u8_t bytes = to_bytes(body);
    return done(apisix_filter_response_set_body(&bytes, &error), &error);
}

/* ---- Around it ---- */

bool(apisix_variable)(apisix_text name, apisix_text *value)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(name);
    filter_option_list_u8_t found = {false, {NULL, 0}};
    bool success = apisix_filter_variables_get_bytes(&string, &found, &error);
    *value = from_option(found);
    return done(success, &error);
}

bool apisix_variables(apisix_texts names, apisix_texts *values)
{
    apisix_filter_types_error_t error;
    filter_list_string_t strings = {NULL, names.count};
    strings.ptr = (filter_string_t *)array(names.count, sizeof *strings.ptr);
    for (size_t i = 0; i < names.count; i++)
        strings.ptr[i] = to_string(names.items[i]);
    filter_list_option_list_u8_t found = {NULL, 0};
    bool success = apisix_filter_variables_get_many_bytes(&strings, &found, &error);
    *values = from_list_of_options(found);
    return done(success, &error);
}

bool(apisix_chain_get)(apisix_text key, apisix_text *value)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(key);
    filter_option_string_t found = {false, {NULL, 0}};
    bool success = apisix_filter_chain_get(&string, &found, &error);
    *value = found.is_some ? from_string(found.val) : apisix_bytes(NULL, 0);
    return done(success, &error);
}

bool(apisix_chain_set)(apisix_text key, apisix_text value)
{
    apisix_filter_types_error_t error;
    filter_string_t key_string = to_string(key), string = to_string(value);
    return done(apisix_filter_chain_set(&key_string, &string, &error), &error);
}

bool(apisix_chain_remove)(apisix_text key)
{
    apisix_filter_types_error_t error;
    filter_string_t string = to_string(key);
    return done(apisix_filter_chain_remove(&string, &error), &error);
}

/* ---- Everywhere ---- */

uint64_t apisix_now_ms(void)
{
    return apisix_filter_clock_now_ms();
}

apisix_text apisix_plugin_name(void)
{
    filter_string_t found;
    apisix_filter_plugin_name(&found);
    return from_string(found);
}

apisix_text apisix_configuration_bytes(void)
{
    filter_list_u8_t found;
    apisix_filter_plugin_configuration_bytes(&found);
    return from_bytes(found);
}

void apisix_log_line(apisix_log_level level, apisix_text line)
{
    filter_string_t string = to_string(line);
    apisix_filter_log_log((apisix_filter_log_level_t)level, &string);
}

bool apisix_log_enabled(apisix_log_level level)
{
    return apisix_filter_log_enabled((apisix_filter_log_level_t)level);
}

/* ---- Outcomes ---- */

static apisix_text reason;
static uint16_t stop_status;
static apisix_text stop_body;
static exports_apisix_filter_request_handler_header_entry_t *stop_headers;
static size_t stop_header_count, stop_header_room;

apisix_outcome apisix_fail_with(apisix_text text)
{
    reason = text;
    return APISIX_FAILED;
}

void(apisix_stop_header)(apisix_text name, apisix_text value)
{
    if (stop_header_count == stop_header_room) {
        size_t room = stop_header_room == 0 ? 8 : 2 * stop_header_room;
        void *wider = array(room, sizeof *stop_headers);
        if (stop_header_count != 0)
            memcpy(wider, stop_headers, stop_header_count * sizeof *stop_headers);
        stop_headers = (exports_apisix_filter_request_handler_header_entry_t *)wider;
        stop_header_room = room;
    }
    stop_headers[stop_header_count].name = to_string(name);
    stop_headers[stop_header_count].value = to_string(value);
    stop_header_count++;
}

apisix_outcome(apisix_stop)(uint16_t status, apisix_text body)
{
    stop_status = status;
    stop_body = body;
    return APISIX_STOPPED;
}

/* An instance may serve several calls: none begins with what another left. */
static void begin(void)
{
    reason = apisix_bytes("", 0);
    error_text = reason;
    stop_headers = NULL;
    stop_header_count = stop_header_room = 0;
}

static bool failed(apisix_outcome outcome, filter_string_t *error)
{
    if (outcome == APISIX_STOPPED)
        reason = apisix_text_of("only on_request can stop");
    *error = to_string(reason);
    return false;
}

bool exports_apisix_filter_configuration_configure(filter_string_t *text, filter_string_t *error)
{
    begin();
    apisix_outcome outcome = configure(from_string(*text));
    if (outcome != APISIX_OK)
        return failed(outcome, error);
    keep();
    return true;
}

bool exports_apisix_filter_request_handler_on_request(
    exports_apisix_filter_request_handler_verdict_t *verdict, filter_string_t *error)
{
    begin();
    apisix_outcome outcome = on_request();
    if (outcome == APISIX_FAILED)
        return failed(outcome, error);
    if (outcome == APISIX_STOPPED) {
        verdict->tag = EXPORTS_APISIX_FILTER_REQUEST_HANDLER_VERDICT_STOP;
        verdict->val.stop.status = stop_status;
        verdict->val.stop.headers.ptr = stop_headers;
        verdict->val.stop.headers.len = stop_header_count;
        verdict->val.stop.body = to_bytes(stop_body);
    } else {
        verdict->tag = EXPORTS_APISIX_FILTER_REQUEST_HANDLER_VERDICT_NEXT;
    }
    return true;
}

bool exports_apisix_filter_response_handler_on_response(filter_string_t *error)
{
    begin();
    apisix_outcome outcome = on_response();
    return outcome == APISIX_OK || failed(outcome, error);
}
