// Package export_apisix_filter_response_handler is where the generated exports find
// what the package apisix put there.
package export_apisix_filter_response_handler

import wit_types "my-filter/apisix/internal/types"

// OnResponse is called by the host, through the generated exports.
var OnResponse func() wit_types.Result[wit_types.Unit, string]
