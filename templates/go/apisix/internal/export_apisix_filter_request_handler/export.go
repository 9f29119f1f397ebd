// Package export_apisix_filter_request_handler is where the generated exports find
// what the package apisix put there.
package export_apisix_filter_request_handler

import (
	"my-filter/apisix/internal/apisix_filter_request_handler"
	wit_types "my-filter/apisix/internal/types"
)

// OnRequest is called by the host, through the generated exports.
var OnRequest func() wit_types.Result[apisix_filter_request_handler.Verdict, string]
