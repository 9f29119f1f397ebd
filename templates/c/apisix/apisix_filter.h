/* What a filter in C or C++ sees of the gateway: C11 and C++17.
 *
 * A filter defines three functions: `configure`, `on_request`, `on_response`.
 * Everything else is called from there. apisix_filter.c holds the code;
 * bindings/filter.h is the whole interface as it was generated from wit/, and
 * wit/ says in full what each function does, its errors and its limits.
 *
 * Memory: nothing is ever freed by the filter.
 *   - What is allocated during `configure` stays: what it was given, what it
 *     reads out of it, what it puts together.
 *   - What is allocated during `on_request` or `on_response` ends with that
 *     call. Do not keep a pointer to it in a variable that outlives the call.
 *   - `malloc` and `free` of the C library are separate from this. What they
 *     leave behind ends with the instance.
 *   - The functions of bindings/filter.h whose names end in `_free` and
 *     `_dup` are not for memory that comes from here.
 *
 * Instances: a filter must not count on meeting its own variables again. What
 * `configure` leaves is there in every call; what a call writes is gone after
 * it, unless the operator said `instances: warm` for this plugin.
 *
 * Text is bytes as the gateway sent them, mostly but not always UTF-8. Where the
 * host takes UTF-8 only (the log, reasons of failures, headers of a stop, names
 * of headers and variables, values between filters), U+FFFD stands for each byte
 * that is none.
 *
 * Errors: functions that return `bool` return false when the host refused, and
 * apisix_error() then says why. APISIX_TRY(call) hands the reason on.
 */
#ifndef APISIX_FILTER_H
#define APISIX_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define APISIX_CHECKED __attribute__((warn_unused_result))

/* ---- Text ---- */

/* `len` bytes. What this header hands out is followed by a NUL byte that `len`
 * does not count, so that `ptr` is a C string too, as far as its first NUL. A
 * text that is not there has no `ptr`; an empty one has. */
typedef struct apisix_text {
    const char *ptr;
    size_t len;
} apisix_text;

typedef struct apisix_texts {
    const apisix_text *items;
    size_t count;
} apisix_texts;

/* A header, or a query argument; `value` is not there for `?name`. */
typedef struct apisix_pair {
    apisix_text name;
    apisix_text value;
} apisix_pair;

typedef struct apisix_pairs {
    const apisix_pair *items;
    size_t count;
} apisix_pairs;

/* What fills the places that a list of texts leaves empty. */
typedef struct apisix_nothing {
    char unused;
} apisix_nothing;

/* Wherever a text is taken, a C string will do: apisix_as_text() is what makes
 * one of the other. */
apisix_text apisix_text_of(const char *c_string);
/* A text of some bytes, without a copy. */
apisix_text apisix_bytes(const void *bytes, size_t len);

static inline apisix_text apisix_same_text(apisix_text text)
{
    return text;
}

static inline apisix_nothing apisix_end(void)
{
    apisix_nothing nothing = {0};
    return nothing;
}

static inline apisix_text apisix_text_of_nothing(apisix_nothing nothing)
{
    (void)nothing;
    return apisix_bytes("", 0);
}

bool apisix_equal(apisix_text a, apisix_text b);
/* ASCII letters only. */
bool apisix_equal_in_any_case(apisix_text a, apisix_text b);
bool apisix_starts_with(apisix_text text, apisix_text start);
bool apisix_ends_with(apisix_text text, apisix_text end);
/* A copy with the ASCII letters in lower case. */
apisix_text apisix_lower(apisix_text text);
/* Up to eight texts or C strings, one after the other:
 *     apisix_concat(path, " is not for you\n")
 * A ninth is an error of type where `end` stands. */
apisix_text apisix_concat_all(apisix_text a, apisix_text b, apisix_text c, apisix_text d,
                              apisix_text e, apisix_text f, apisix_text g, apisix_text h,
                              apisix_nothing end);
/* A number in decimal digits. */
apisix_text apisix_decimal(int64_t number);
/* `size` bytes, aligned for any type; it is zero. Traps where memory ends. */
void *apisix_allocate(size_t size);

/* ---- What a handler returns ---- */

typedef enum apisix_outcome {
    /* The configuration is accepted; the response goes on. */
    APISIX_OK = 0,
    /* The request goes on. */
    APISIX_NEXT = 0,
    /* Made by apisix_stop(). */
    APISIX_STOPPED = 1,
    /* Made by apisix_fail(). */
    APISIX_FAILED = 2
} apisix_outcome;

/* `text` is the configuration. A failure is the reason why it is refused. */
apisix_outcome configure(apisix_text text);
/* The request phase: APISIX_NEXT, apisix_stop(...) or apisix_fail(...). */
apisix_outcome on_request(void);
/* The response phase: APISIX_OK or apisix_fail(...). */
apisix_outcome on_response(void);

/* A header of the stop that follows; a name that is given twice is sent twice. */
void apisix_stop_header(apisix_text name, apisix_text value);
/* Ends the request with a response from here; status 200 to 599. Only from
 * `on_request`:
 *     return apisix_stop(403, "no\n"); */
apisix_outcome apisix_stop(uint16_t status, apisix_text body);
/* Up to eight texts or C strings that say why; for the log, not the client:
 *     return apisix_fail("there is no ", name); */
apisix_outcome apisix_fail_with(apisix_text reason);

/* ---- Errors ---- */

typedef enum apisix_error_kind {
    APISIX_UNSUPPORTED = 0,
    APISIX_WRONG_PHASE = 1,
    APISIX_INVALID = 2,
    APISIX_LIMIT = 3,
    APISIX_GATEWAY = 4,
    APISIX_DENIED = 5,
    APISIX_OTHER = 6,
    /* From this side of the border: the JSON is not what was asked for. */
    APISIX_JSON = 7
} apisix_error_kind;

/* About the last function that returned false. */
apisix_text apisix_error(void);
apisix_error_kind apisix_error_is(void);

/* Leaves the handler with the reason when a call returned false:
 *     APISIX_TRY(apisix_request_path(&path)); */
#define APISIX_TRY(call)                         \
    do {                                         \
        if (!(call))                             \
            return apisix_fail_with(apisix_error()); \
    } while (0)

/* ---- The request; only in `on_request` ---- */

APISIX_CHECKED bool apisix_request_id(uint32_t *id);
APISIX_CHECKED bool apisix_request_method(apisix_text *method);
APISIX_CHECKED bool apisix_request_source_address(apisix_text *address);
/* Decoded, without the query. */
APISIX_CHECKED bool apisix_request_path(apisix_text *path);
APISIX_CHECKED bool apisix_request_set_path(apisix_text path);
/* The first value; not there (`ptr` is NULL) when there is no such header. */
APISIX_CHECKED bool apisix_request_header(apisix_text name, apisix_text *value);
APISIX_CHECKED bool apisix_request_header_values(apisix_text name, apisix_texts *values);
APISIX_CHECKED bool apisix_request_headers(apisix_pairs *headers);
APISIX_CHECKED bool apisix_request_set_header(apisix_text name, apisix_text value);
/* Only a header that is not there yet. */
APISIX_CHECKED bool apisix_request_add_header(apisix_text name, apisix_text value);
APISIX_CHECKED bool apisix_request_remove_header(apisix_text name);

/* The first argument of that name: `?lang=en` has a value, `?lang` is found and
 * has none (`value.ptr` is NULL). */
typedef struct apisix_arg {
    bool found;
    apisix_text value;
} apisix_arg;

APISIX_CHECKED bool apisix_request_arg(apisix_text name, apisix_arg *arg);
APISIX_CHECKED bool apisix_request_arg_values(apisix_text name, apisix_texts *values);
APISIX_CHECKED bool apisix_request_args(apisix_pairs *args);
APISIX_CHECKED bool apisix_request_set_arg(apisix_text name, apisix_text value);
APISIX_CHECKED bool apisix_request_add_arg(apisix_text name, apisix_text value);
APISIX_CHECKED bool apisix_request_remove_arg(apisix_text name);
/* Not there when the request has no body. Up to 16 MiB. */
APISIX_CHECKED bool apisix_request_body(apisix_text *body);
APISIX_CHECKED bool apisix_request_set_body(apisix_text body);
/* On the response that will come. */
APISIX_CHECKED bool apisix_request_set_response_header(apisix_text name, apisix_text value);
APISIX_CHECKED bool apisix_request_add_response_header(apisix_text name, apisix_text value);

/* ---- The response; only in `on_response` ---- */

APISIX_CHECKED bool apisix_response_id(uint32_t *id);
APISIX_CHECKED bool apisix_response_status(uint16_t *status);
APISIX_CHECKED bool apisix_response_set_status(uint16_t status);
APISIX_CHECKED bool apisix_response_header(apisix_text name, apisix_text *value);
APISIX_CHECKED bool apisix_response_header_values(apisix_text name, apisix_texts *values);
APISIX_CHECKED bool apisix_response_headers(apisix_pairs *headers);
APISIX_CHECKED bool apisix_response_set_header(apisix_text name, apisix_text value);
APISIX_CHECKED bool apisix_response_add_header(apisix_text name, apisix_text value);
APISIX_CHECKED bool apisix_response_remove_header(apisix_text name);
APISIX_CHECKED bool apisix_response_body(apisix_text *body);
APISIX_CHECKED bool apisix_response_set_body(apisix_text body);

/* ---- Around it; in both handlers ---- */

/* A variable of the gateway, such as `remote_port`; not there when it is unknown. */
APISIX_CHECKED bool apisix_variable(apisix_text name, apisix_text *value);
/* Several in one exchange, in the order of the names. */
APISIX_CHECKED bool apisix_variables(apisix_texts names, apisix_texts *values);
/* Values for the filters of the same call that come after this one. */
APISIX_CHECKED bool apisix_chain_get(apisix_text key, apisix_text *value);
APISIX_CHECKED bool apisix_chain_set(apisix_text key, apisix_text value);
APISIX_CHECKED bool apisix_chain_remove(apisix_text key);

/* ---- Everywhere, `configure` included ---- */

/* Milliseconds since 1970. */
uint64_t apisix_now_ms(void);
apisix_text apisix_plugin_name(void);
/* The configuration byte for byte; `configure` gets it as valid UTF-8. */
apisix_text apisix_configuration_bytes(void);

typedef enum apisix_log_level {
    APISIX_LOG_TRACE = 0,
    APISIX_LOG_DEBUG = 1,
    APISIX_LOG_INFO = 2,
    APISIX_LOG_WARN = 3,
    APISIX_LOG_ERROR = 4
} apisix_log_level;

/* Up to eight texts or C strings make one line:
 *     apisix_info("passed ", path); */
void apisix_log_line(apisix_log_level level, apisix_text line);
bool apisix_log_enabled(apisix_log_level level);

/* ---- JSON, for configurations ----
 *
 * Reads the members of one object. The whole text must be JSON as RFC 8259 has
 * it, in UTF-8, nested at most 64 deep, with no half of a surrogate pair; where
 * it is not, every function says so. A name that occurs twice counts as its
 * last occurrence. Members that nobody asks for are passed over. */

typedef enum apisix_json_kind {
    /* The text is no JSON object; apisix_error() says so. */
    APISIX_JSON_BROKEN,
    APISIX_JSON_ABSENT,
    APISIX_JSON_NULL,
    APISIX_JSON_FALSE,
    APISIX_JSON_TRUE,
    APISIX_JSON_NUMBER,
    APISIX_JSON_STRING,
    APISIX_JSON_ARRAY,
    APISIX_JSON_OBJECT
} apisix_json_kind;

/* The member called `name`: what it is, and (where `value` is not NULL) a
 * string without its quotes and escapes, or the text of anything else as it
 * stands. An object within can be read by the same functions. */
apisix_json_kind apisix_json_get(apisix_text json, apisix_text name, apisix_text *value);

/* Members that must be there. */
APISIX_CHECKED bool apisix_json_string(apisix_text json, apisix_text name, apisix_text *value);
APISIX_CHECKED bool apisix_json_integer(apisix_text json, apisix_text name, int64_t *value);
APISIX_CHECKED bool apisix_json_boolean(apisix_text json, apisix_text name, bool *value);
/* The same, where the member may be absent or null: then *value stays as it is. */
APISIX_CHECKED bool apisix_json_optional_string(apisix_text json, apisix_text name,
                                                apisix_text *value);
APISIX_CHECKED bool apisix_json_optional_integer(apisix_text json, apisix_text name,
                                                 int64_t *value);
APISIX_CHECKED bool apisix_json_optional_boolean(apisix_text json, apisix_text name, bool *value);

#ifdef __cplusplus
}
#endif

/* ---- C strings where texts are taken ---- */

#ifdef __cplusplus
static inline apisix_text apisix_as_text(apisix_text text)
{
    return text;
}
static inline apisix_text apisix_as_text(const char *c_string)
{
    return apisix_text_of(c_string);
}
static inline apisix_text apisix_as_text(apisix_nothing nothing)
{
    return apisix_text_of_nothing(nothing);
}
#else
#define apisix_as_text(value)                      \
    _Generic((value),                              \
        apisix_text: apisix_same_text,             \
        apisix_nothing: apisix_text_of_nothing,    \
        default: apisix_text_of)(value)
#endif

#define APISIX_CONCAT_8(a, b, c, d, e, f, g, h, end, ...)                      \
    apisix_concat_all(apisix_as_text(a), apisix_as_text(b), apisix_as_text(c), \
                      apisix_as_text(d), apisix_as_text(e), apisix_as_text(f), \
                      apisix_as_text(g), apisix_as_text(h), end)
#define apisix_concat(...)                                                              \
    APISIX_CONCAT_8(__VA_ARGS__, apisix_end(), apisix_end(), apisix_end(), apisix_end(), \
                    apisix_end(), apisix_end(), apisix_end(), apisix_end(), apisix_end())
#define apisix_fail(...) apisix_fail_with(apisix_concat(__VA_ARGS__))
#define apisix_log(level, ...) apisix_log_line(level, apisix_concat(__VA_ARGS__))
#define apisix_debug(...) apisix_log(APISIX_LOG_DEBUG, __VA_ARGS__)
#define apisix_info(...) apisix_log(APISIX_LOG_INFO, __VA_ARGS__)
#define apisix_warn(...) apisix_log(APISIX_LOG_WARN, __VA_ARGS__)

#define apisix_equal(a, b) apisix_equal(apisix_as_text(a), apisix_as_text(b))
#define apisix_equal_in_any_case(a, b) \
    apisix_equal_in_any_case(apisix_as_text(a), apisix_as_text(b))
#define apisix_starts_with(text, start) \
    apisix_starts_with(apisix_as_text(text), apisix_as_text(start))
#define apisix_ends_with(text, end) apisix_ends_with(apisix_as_text(text), apisix_as_text(end))
#define apisix_lower(text) apisix_lower(apisix_as_text(text))
#define apisix_stop_header(name, value) \
    apisix_stop_header(apisix_as_text(name), apisix_as_text(value))
#define apisix_stop(status, body) apisix_stop(status, apisix_as_text(body))

#define apisix_request_set_path(path) apisix_request_set_path(apisix_as_text(path))
#define apisix_request_header(name, value) apisix_request_header(apisix_as_text(name), value)
#define apisix_request_header_values(name, values) \
    apisix_request_header_values(apisix_as_text(name), values)
#define apisix_request_set_header(name, value) \
    apisix_request_set_header(apisix_as_text(name), apisix_as_text(value))
#define apisix_request_add_header(name, value) \
    apisix_request_add_header(apisix_as_text(name), apisix_as_text(value))
#define apisix_request_remove_header(name) apisix_request_remove_header(apisix_as_text(name))
#define apisix_request_arg(name, arg) apisix_request_arg(apisix_as_text(name), arg)
#define apisix_request_arg_values(name, values) \
    apisix_request_arg_values(apisix_as_text(name), values)
#define apisix_request_set_arg(name, value) \
    apisix_request_set_arg(apisix_as_text(name), apisix_as_text(value))
#define apisix_request_add_arg(name, value) \
    apisix_request_add_arg(apisix_as_text(name), apisix_as_text(value))
#define apisix_request_remove_arg(name) apisix_request_remove_arg(apisix_as_text(name))
#define apisix_request_set_body(body) apisix_request_set_body(apisix_as_text(body))
#define apisix_request_set_response_header(name, value) \
    apisix_request_set_response_header(apisix_as_text(name), apisix_as_text(value))
#define apisix_request_add_response_header(name, value) \
    apisix_request_add_response_header(apisix_as_text(name), apisix_as_text(value))

#define apisix_response_header(name, value) apisix_response_header(apisix_as_text(name), value)
#define apisix_response_header_values(name, values) \
    apisix_response_header_values(apisix_as_text(name), values)
#define apisix_response_set_header(name, value) \
    apisix_response_set_header(apisix_as_text(name), apisix_as_text(value))
#define apisix_response_add_header(name, value) \
    apisix_response_add_header(apisix_as_text(name), apisix_as_text(value))
#define apisix_response_remove_header(name) apisix_response_remove_header(apisix_as_text(name))
#define apisix_response_set_body(body) apisix_response_set_body(apisix_as_text(body))

#define apisix_variable(name, value) apisix_variable(apisix_as_text(name), value)
#define apisix_chain_get(key, value) apisix_chain_get(apisix_as_text(key), value)
#define apisix_chain_set(key, value) apisix_chain_set(apisix_as_text(key), apisix_as_text(value))
#define apisix_chain_remove(key) apisix_chain_remove(apisix_as_text(key))

#define apisix_json_get(json, name, value) \
    apisix_json_get(apisix_as_text(json), apisix_as_text(name), value)
#define apisix_json_string(json, name, value) \
    apisix_json_string(apisix_as_text(json), apisix_as_text(name), value)
#define apisix_json_integer(json, name, value) \
    apisix_json_integer(apisix_as_text(json), apisix_as_text(name), value)
#define apisix_json_boolean(json, name, value) \
    apisix_json_boolean(apisix_as_text(json), apisix_as_text(name), value)
#define apisix_json_optional_string(json, name, value) \
    apisix_json_optional_string(apisix_as_text(json), apisix_as_text(name), value)
#define apisix_json_optional_integer(json, name, value) \
    apisix_json_optional_integer(apisix_as_text(json), apisix_as_text(name), value)
#define apisix_json_optional_boolean(json, name, value) \
    apisix_json_optional_boolean(apisix_as_text(json), apisix_as_text(name), value)

#endif
