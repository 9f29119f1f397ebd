/* The filter my-filter: sets a header of the request, writes the language in
 * lower case, denies what the configuration denies and marks the response. */
#include "apisix/apisix_filter.h"

/* What `configure` leaves in variables is there in every call. What a call
 * leaves in them is not: calls do not meet each other. */
static apisix_text header, value, deny;

/* Called before any other function, with the text that stands behind this
 * filter's name on the route. The reason of a refusal goes to the log. */
apisix_outcome configure(apisix_text text)
{
    APISIX_TRY(apisix_json_string(text, "header", &header));
    APISIX_TRY(apisix_json_string(text, "value", &value));
    APISIX_TRY(apisix_json_optional_string(text, "deny", &deny));
    return APISIX_OK;
}

apisix_outcome on_request(void)
{
    apisix_text path;
    apisix_arg lang;

    APISIX_TRY(apisix_request_path(&path));
    if (deny.len > 0 && apisix_starts_with(path, deny)) {
        apisix_stop_header("content-type", "text/plain");
        return apisix_stop(403, apisix_concat(path, " is not for you\n"));
    }

    APISIX_TRY(apisix_request_set_header(header, value));

    APISIX_TRY(apisix_request_arg("lang", &lang));
    /* `?lang` is an argument without a value: that has no text to point at. */
    if (lang.value.ptr != NULL)
        APISIX_TRY(apisix_request_set_arg("lang", apisix_lower(lang.value)));

    apisix_info("passed ", path);
    return APISIX_NEXT;
}

/* Another call than on_request, and another instance: what the request phase
 * wants to tell this one it writes into a header (docs/phases.md). */
apisix_outcome on_response(void)
{
    APISIX_TRY(apisix_response_set_header("x-filtered", value));
    return APISIX_OK;
}
