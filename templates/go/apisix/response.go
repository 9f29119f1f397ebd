// The response phase: what a filter sees of a response and can change.

package apisix

import "my-filter/apisix/internal/apisix_filter_response"

// Response is the upstream's response in the current call, as the filters before
// this one left it.
type Response struct{}

// ID is the number the gateway gave this call.
func (Response) ID() (uint32, error) { return value(host(), apisix_filter_response.Id()) }

// Status is the status code, 100 to 999.
func (Response) Status() (uint16, error) { return value(host(), apisix_filter_response.Status()) }

// SetStatus replaces the status code: 200 to 599.
func (Response) SetStatus(status uint16) error {
	return done(host(), apisix_filter_response.SetStatus(status))
}

// Header is the first value of a header, and whether there is one.
func (Response) Header(name string) (value string, found bool, err error) {
	return optional(host(), apisix_filter_response.Header(utf8(name)))
}
func (Response) HeaderBytes(name string) (value []byte, found bool, err error) {
	return optional(host(), apisix_filter_response.HeaderBytes(utf8(name)))
}

// HeaderValues are all values of a header, in the order received.
func (Response) HeaderValues(name string) ([]string, error) {
	return value(host(), apisix_filter_response.HeaderValues(utf8(name)))
}
func (Response) HeaderValuesBytes(name string) ([][]byte, error) {
	return value(host(), apisix_filter_response.HeaderValuesBytes(utf8(name)))
}

// Headers are all headers, in the order and case received.
func (Response) Headers() ([]Header, error) {
	return mapped(host(), apisix_filter_response.Headers(), toHeader)
}
func (Response) HeadersBytes() ([]HeaderBytes, error) {
	return mapped(host(), apisix_filter_response.HeadersBytes(), toHeaderBytes)
}

// SetHeader replaces every value of a header.
func (Response) SetHeader(name, value string) error {
	return done(host(), apisix_filter_response.SetHeader(utf8(name), utf8(value)))
}
func (Response) SetHeaderBytes(name string, value []byte) error {
	return done(host(), apisix_filter_response.SetHeaderBytes(utf8(name), value))
}

// AddHeader adds a value and keeps those that are there.
func (Response) AddHeader(name, value string) error {
	return done(host(), apisix_filter_response.AddHeader(utf8(name), utf8(value)))
}
func (Response) AddHeaderBytes(name string, value []byte) error {
	return done(host(), apisix_filter_response.AddHeaderBytes(utf8(name), value))
}

// RemoveHeader removes every value of a header.
func (Response) RemoveHeader(name string) error {
	return done(host(), apisix_filter_response.RemoveHeader(utf8(name)))
}

// Body is the whole body, of up to 16 MiB, and whether there is one.
func (Response) Body() (body []byte, found bool, err error) {
	return optional(host(), apisix_filter_response.Body())
}

// SetBody replaces the body; it cannot be empty.
func (Response) SetBody(body []byte) error { return done(host(), apisix_filter_response.SetBody(body)) }
