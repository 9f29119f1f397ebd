// Package export_apisix_filter_configuration is where the generated exports find
// what the package apisix put there.
package export_apisix_filter_configuration

import wit_types "my-filter/apisix/internal/types"

// Configure is called by the host, through the generated exports.
var Configure func(text string) wit_types.Result[wit_types.Unit, string]
