/* The JSON reader of apisix_filter.h. It walks over the whole text for every
 * member that is asked for: configurations are short, and read once. It does not
 * recurse, and the only thing it allocates is the string that is handed out. */
#include "apisix_filter.h"
#include "internal.h"

#include <string.h>

enum { DEEPEST = 64 };

typedef struct place {
    const char *at;
    const char *end;
} place;

/* Where the characters of a string go: into `out`, and beside `expected`. */
typedef struct sink {
    char *out;
    size_t len;
    apisix_text expected;
    bool same;
} sink;

static void put(sink *sink, unsigned byte)
{
    if (sink->out != NULL)
        sink->out[sink->len] = (char)byte;
    sink->same = sink->same && sink->len < sink->expected.len &&
                 (unsigned char)sink->expected.ptr[sink->len] == byte;
    sink->len++;
}

static void put_character(sink *sink, uint32_t code)
{
    if (code < 0x80) {
        put(sink, code);
        return;
    }
    if (code < 0x800) {
        put(sink, 0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            put(sink, 0xe0 | code >> 12);
        } else {
            put(sink, 0xf0 | code >> 18);
            put(sink, 0x80 | (code >> 12 & 0x3f));
        }
        put(sink, 0x80 | (code >> 6 & 0x3f));
    }
    put(sink, 0x80 | (code & 0x3f));
}

static size_t left(const place *place)
{
    return (size_t)(place->end - place->at);
}

/* The next byte, or -1 at the end. */
static int peek(const place *place)
{
    return place->at < place->end ? (unsigned char)*place->at : -1;
}

static bool take(place *place, char byte)
{
    if (peek(place) != byte)
        return false;
    place->at++;
    return true;
}

static int peek_behind_space(place *place)
{
    for (;;) {
        int byte = peek(place);
        if (byte != ' ' && byte != '\t' && byte != '\n' && byte != '\r')
            return byte;
        place->at++;
    }
}

static bool read_hex(place *place, uint32_t *unit)
{
    *unit = 0;
    if (left(place) < 4)
        return false;
    for (int i = 0; i < 4; i++) {
        char digit = *place->at++;
        uint32_t value;
        if (digit >= '0' && digit <= '9')
            value = (uint32_t)(digit - '0');
        else if (digit >= 'a' && digit <= 'f')
            value = (uint32_t)(digit - 'a') + 10;
        else if (digit >= 'A' && digit <= 'F')
            value = (uint32_t)(digit - 'A') + 10;
        else
            return false;
        *unit = *unit << 4 | value;
    }
    return true;
}

/* Behind the backslash. */
static bool read_escape(place *place, sink *sink)
{
    static const char names[] = "\"\\/bfnrt";
    static const char meanings[] = "\"\\/\b\f\n\r\t";
    uint32_t code, low;
    int byte = peek(place);
    if (byte <= 0)
        return false;
    place->at++;
    if (byte != 'u') {
        const char *found = strchr(names, byte);
        if (found == NULL)
            return false;
        put(sink, (unsigned char)meanings[found - names]);
        return true;
    }
    if (!read_hex(place, &code))
        return false;
    if (code >= 0xd800 && code <= 0xdfff) {
        if (code >= 0xdc00 || !take(place, '\\') || !take(place, 'u') || !read_hex(place, &low) ||
            low < 0xdc00 || low > 0xdfff)
            return false;
        code = 0x10000 + ((code - 0xd800) << 10 | (low - 0xdc00));
    }
    put_character(sink, code);
    return true;
}

static bool read_string(place *place, sink *sink)
{
    if (!take(place, '"'))
        return false;
    for (;;) {
        int byte = peek(place);
        if (byte < 0x20)
            return false;
        if (byte == '"') {
            place->at++;
            sink->same = sink->same && sink->len == sink->expected.len;
            return true;
        }
        if (byte == '\\') {
            place->at++;
            if (!read_escape(place, sink))
                return false;
            continue;
        }
        size_t length = apisix_utf8_length(place->at, left(place));
        if (length == 0)
            return false;
        for (size_t i = 0; i < length; i++)
            put(sink, (unsigned char)*place->at++);
    }
}

static bool skip_string(place *place)
{
    sink nowhere = {NULL, 0, {NULL, 0}, false};
    return read_string(place, &nowhere);
}

static bool skip_digits(place *place)
{
    const char *start = place->at;
    while (peek(place) >= '0' && peek(place) <= '9')
        place->at++;
    return place->at != start;
}

static bool skip_number(place *place)
{
    (void)take(place, '-');
    if (!take(place, '0') && !skip_digits(place))
        return false;
    if (take(place, '.') && !skip_digits(place))
        return false;
    if (take(place, 'e') || take(place, 'E')) {
        if (!take(place, '+'))
            (void)take(place, '-');
        return skip_digits(place);
    }
    return true;
}

static bool skip_word(place *place, const char *word)
{
    size_t length = strlen(word);
    if (left(place) < length || memcmp(place->at, word, length) != 0)
        return false;
    place->at += length;
    return true;
}

static bool skip_scalar(place *place)
{
    switch (peek(place)) {
    case '"':
        return skip_string(place);
    case 't':
        return skip_word(place, "true");
    case 'f':
        return skip_word(place, "false");
    case 'n':
        return skip_word(place, "null");
    default:
        return skip_number(place);
    }
}

/* A member's name and the colon behind it. */
static bool read_name(place *place, sink *sink)
{
    (void)peek_behind_space(place);
    if (!read_string(place, sink))
        return false;
    (void)peek_behind_space(place);
    return take(place, ':');
}

static bool skip_name(place *place)
{
    sink nowhere = {NULL, 0, {NULL, 0}, false};
    return read_name(place, &nowhere);
}

/* A value of any kind, without the space around it. */
static bool skip_value(place *place)
{
    bool is_object[DEEPEST];
    size_t depth = 0;
    for (;;) {
        int byte = peek_behind_space(place);
        if (byte == '{' || byte == '[') {
            if (depth == DEEPEST)
                return false;
            is_object[depth] = byte == '{';
            place->at++;
            if (peek_behind_space(place) != (is_object[depth] ? '}' : ']')) {
                if (is_object[depth] && !skip_name(place))
                    return false;
                depth++;
                continue;
            }
            place->at++;
        } else if (!skip_scalar(place)) {
            return false;
        }
        /* A value has ended: so may what holds it, and what holds that. */
        for (;;) {
            if (depth == 0)
                return true;
            byte = peek_behind_space(place);
            if (byte == ',')
                break;
            if (byte != (is_object[depth - 1] ? '}' : ']'))
                return false;
            place->at++;
            depth--;
        }
        place->at++;
        if (is_object[depth - 1] && !skip_name(place))
            return false;
    }
}

/* The text of the last member called `name`; false where the whole is no object. */
static bool find(apisix_text json, apisix_text name, apisix_text *found)
{
    place place = {json.ptr, json.ptr};
    if (json.len != 0)
        place.end += json.len;
    *found = apisix_bytes(NULL, 0);
    if (peek_behind_space(&place) != '{')
        return false;
    place.at++;
    if (peek_behind_space(&place) == '}') {
        place.at++;
    } else {
        do {
            sink here = {NULL, 0, name, true};
            if (!read_name(&place, &here))
                return false;
            (void)peek_behind_space(&place);
            const char *start = place.at;
            if (!skip_value(&place))
                return false;
            if (here.same)
                *found = apisix_bytes(start, (size_t)(place.at - start));
            (void)peek_behind_space(&place);
        } while (take(&place, ','));
        if (!take(&place, '}'))
            return false;
    }
    return peek_behind_space(&place) == -1;
}

static apisix_text unquoted(apisix_text raw)
{
    place place = {raw.ptr, raw.ptr + raw.len};
    /* No escape is shorter than what it stands for. */
    sink sink = {(char *)apisix_allocate(raw.len), 0, {NULL, 0}, false};
    (void)read_string(&place, &sink);
    sink.out[sink.len] = '\0';
    return apisix_bytes(sink.out, sink.len);
}

static apisix_json_kind kind_of(apisix_text raw)
{
    switch (raw.ptr[0]) {
    case '"':
        return APISIX_JSON_STRING;
    case '{':
        return APISIX_JSON_OBJECT;
    case '[':
        return APISIX_JSON_ARRAY;
    case 't':
        return APISIX_JSON_TRUE;
    case 'f':
        return APISIX_JSON_FALSE;
    case 'n':
        return APISIX_JSON_NULL;
    default:
        return APISIX_JSON_NUMBER;
    }
}

apisix_json_kind(apisix_json_get)(apisix_text json, apisix_text name, apisix_text *value)
{
    apisix_text raw;
    if (!find(json, name, &raw)) {
        apisix_refuse(APISIX_JSON, apisix_text_of("this is not a JSON object"));
        return APISIX_JSON_BROKEN;
    }
    if (raw.ptr == NULL)
        return APISIX_JSON_ABSENT;
    apisix_json_kind kind = kind_of(raw);
    if (value != NULL)
        *value = kind == APISIX_JSON_STRING ? unquoted(raw) : raw;
    return kind;
}

static bool wrong(apisix_json_kind kind, apisix_text name, const char *wanted)
{
    if (kind == APISIX_JSON_BROKEN)
        return false;
    return apisix_refuse(APISIX_JSON, kind == APISIX_JSON_ABSENT
                                          ? apisix_concat("`", name, "` is missing")
                                          : apisix_concat("`", name, "` is not ", wanted));
}

static bool may_be_left_out(apisix_json_kind kind)
{
    return kind == APISIX_JSON_ABSENT || kind == APISIX_JSON_NULL;
}

/* Digits only: 1e3 and 1.0 are numbers, but nobody writes them for a whole one. */
static bool to_integer(apisix_text raw, int64_t *value)
{
    bool negative = raw.ptr[0] == '-';
    int64_t number = 0;
    for (size_t i = negative; i < raw.len; i++) {
        int digit = raw.ptr[i] - '0';
        if (digit < 0 || digit > 9 || __builtin_mul_overflow(number, 10, &number) ||
            __builtin_sub_overflow(number, digit, &number))
            return false;
    }
    /* Counted downwards, where there is one more. */
    if (!negative && __builtin_sub_overflow(0, number, &number))
        return false;
    *value = number;
    return true;
}

static bool as_string(apisix_json_kind kind, apisix_text found, apisix_text name,
                      apisix_text *value)
{
    if (kind != APISIX_JSON_STRING)
        return wrong(kind, name, "a string");
    *value = found;
    return true;
}

static bool as_integer(apisix_json_kind kind, apisix_text found, apisix_text name, int64_t *value)
{
    if (kind != APISIX_JSON_NUMBER || !to_integer(found, value))
        return wrong(kind, name, "a whole number of 64 bits");
    return true;
}

static bool as_boolean(apisix_json_kind kind, apisix_text name, bool *value)
{
    if (kind != APISIX_JSON_TRUE && kind != APISIX_JSON_FALSE)
        return wrong(kind, name, "true or false");
    *value = kind == APISIX_JSON_TRUE;
    return true;
}

bool(apisix_json_string)(apisix_text json, apisix_text name, apisix_text *value)
{
    apisix_text found;
    apisix_json_kind kind = apisix_json_get(json, name, &found);
    return as_string(kind, found, name, value);
}

bool(apisix_json_integer)(apisix_text json, apisix_text name, int64_t *value)
{
    apisix_text found;
    apisix_json_kind kind = apisix_json_get(json, name, &found);
    return as_integer(kind, found, name, value);
}

bool(apisix_json_boolean)(apisix_text json, apisix_text name, bool *value)
{
    return as_boolean(apisix_json_get(json, name, NULL), name, value);
}

bool(apisix_json_optional_string)(apisix_text json, apisix_text name, apisix_text *value)
{
    apisix_text found;
    apisix_json_kind kind = apisix_json_get(json, name, &found);
    return may_be_left_out(kind) || as_string(kind, found, name, value);
}

bool(apisix_json_optional_integer)(apisix_text json, apisix_text name, int64_t *value)
{
    apisix_text found;
    apisix_json_kind kind = apisix_json_get(json, name, &found);
    return may_be_left_out(kind) || as_integer(kind, found, name, value);
}

bool(apisix_json_optional_boolean)(apisix_text json, apisix_text name, bool *value)
{
    apisix_json_kind kind = apisix_json_get(json, name, NULL);
    return may_be_left_out(kind) || as_boolean(kind, name, value);
}
