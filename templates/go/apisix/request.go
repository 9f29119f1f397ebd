// The request phase: what a filter sees of a request and can change.

package apisix

import (
	"my-filter/apisix/internal/apisix_filter_request"
	"my-filter/apisix/internal/apisix_filter_types"
	wit "my-filter/apisix/internal/types"
)

// Request is the request of the current call, as the filters before this one left
// it. Edits take effect when OnRequest returns Next.
type Request struct{}

// Arg is one query argument. `?name` has no value, `?name=` an empty one.
type Arg struct {
	Name, Value string
	HasValue    bool
}

// ArgBytes is Arg without a change of any byte; Value is nil where there is none.
type ArgBytes struct {
	Name, Value []byte
}

func toArg(entry apisix_filter_types.ArgEntry) Arg {
	return Arg{entry.Name, entry.Value.Some(), entry.Value.Tag() == wit.OptionSome}
}

func toArgBytes(entry apisix_filter_types.ArgEntryBytes) ArgBytes {
	return ArgBytes{entry.Name, orNil(entry.Value)}
}

// An empty value is empty, not nil.
func orNil(option wit.Option[[]byte]) []byte {
	if option.Tag() == wit.OptionNone {
		return nil
	}
	return append([]byte{}, option.Some()...)
}

// ID is the number the gateway gave this call.
func (Request) ID() (uint32, error) { return value(host(), apisix_filter_request.Id()) }

// Method is the request method in upper case.
func (Request) Method() (string, error) { return value(host(), apisix_filter_request.Method()) }

// SourceAddress is the client's address as text.
func (Request) SourceAddress() (string, error) {
	return value(host(), apisix_filter_request.SourceAddress())
}

// Path is decoded and without the query.
func (Request) Path() (string, error)      { return value(host(), apisix_filter_request.Path()) }
func (Request) PathBytes() ([]byte, error) { return value(host(), apisix_filter_request.PathBytes()) }

// SetPath takes a path that is decoded and without a query; the query is kept.
func (Request) SetPath(path string) error {
	return done(host(), apisix_filter_request.SetPath(utf8(path)))
}
func (Request) SetPathBytes(path []byte) error {
	return done(host(), apisix_filter_request.SetPathBytes(path))
}

// Header is the first value of a header, and whether there is one.
func (Request) Header(name string) (value string, found bool, err error) {
	return optional(host(), apisix_filter_request.Header(utf8(name)))
}
func (Request) HeaderBytes(name string) (value []byte, found bool, err error) {
	return optional(host(), apisix_filter_request.HeaderBytes(utf8(name)))
}

// HeaderValues are all values of a header, in the order received.
func (Request) HeaderValues(name string) ([]string, error) {
	return value(host(), apisix_filter_request.HeaderValues(utf8(name)))
}
func (Request) HeaderValuesBytes(name string) ([][]byte, error) {
	return value(host(), apisix_filter_request.HeaderValuesBytes(utf8(name)))
}

// Headers are all headers; the order of different names means nothing.
func (Request) Headers() ([]Header, error) {
	return mapped(host(), apisix_filter_request.Headers(), toHeader)
}
func (Request) HeadersBytes() ([]HeaderBytes, error) {
	return mapped(host(), apisix_filter_request.HeadersBytes(), toHeaderBytes)
}

// SetHeader replaces every value of a header. An empty value removes it.
func (Request) SetHeader(name, value string) error {
	return done(host(), apisix_filter_request.SetHeader(utf8(name), utf8(value)))
}
func (Request) SetHeaderBytes(name string, value []byte) error {
	return done(host(), apisix_filter_request.SetHeaderBytes(utf8(name), value))
}

// AddHeader adds a header that is not there yet.
func (Request) AddHeader(name, value string) error {
	return done(host(), apisix_filter_request.AddHeader(utf8(name), utf8(value)))
}
func (Request) AddHeaderBytes(name string, value []byte) error {
	return done(host(), apisix_filter_request.AddHeaderBytes(utf8(name), value))
}

// RemoveHeader removes every value of a header.
func (Request) RemoveHeader(name string) error {
	return done(host(), apisix_filter_request.RemoveHeader(utf8(name)))
}

// Arg is the first query argument of that name, and whether there is one.
func (Request) Arg(name string) (arg Arg, found bool, err error) {
	entry, found, err := optional(host(), apisix_filter_request.Arg(utf8(name)))
	return toArg(entry), found, err
}
func (Request) ArgBytes(name []byte) (arg ArgBytes, found bool, err error) {
	entry, found, err := optional(host(), apisix_filter_request.ArgBytes(name))
	return toArgBytes(entry), found, err
}

// ArgValues are all query arguments of that name.
func (Request) ArgValues(name string) ([]Arg, error) {
	return mapped(host(), apisix_filter_request.ArgValues(utf8(name)), func(option wit.Option[string]) Arg {
		return Arg{name, option.Some(), option.Tag() == wit.OptionSome}
	})
}
func (Request) ArgValuesBytes(name []byte) ([]ArgBytes, error) {
	return mapped(host(), apisix_filter_request.ArgValuesBytes(name), func(option wit.Option[[]byte]) ArgBytes {
		return ArgBytes{name, orNil(option)}
	})
}

// Args are all query arguments; the order of different names means nothing.
func (Request) Args() ([]Arg, error) { return mapped(host(), apisix_filter_request.Args(), toArg) }
func (Request) ArgsBytes() ([]ArgBytes, error) {
	return mapped(host(), apisix_filter_request.ArgsBytes(), toArgBytes)
}

// SetArg replaces every value of a query argument.
func (Request) SetArg(name, value string) error {
	return done(host(), apisix_filter_request.SetArg(utf8(name), utf8(value)))
}
func (Request) SetArgBytes(name, value []byte) error {
	return done(host(), apisix_filter_request.SetArgBytes(name, value))
}

// AddArg adds a value to a query argument.
func (Request) AddArg(name, value string) error {
	return done(host(), apisix_filter_request.AddArg(utf8(name), utf8(value)))
}
func (Request) AddArgBytes(name, value []byte) error {
	return done(host(), apisix_filter_request.AddArgBytes(name, value))
}

// RemoveArg removes every value of a query argument.
func (Request) RemoveArg(name string) error {
	return done(host(), apisix_filter_request.RemoveArg(utf8(name)))
}
func (Request) RemoveArgBytes(name []byte) error {
	return done(host(), apisix_filter_request.RemoveArgBytes(name))
}

// Body is the whole body, of up to 16 MiB, and whether there is one.
func (Request) Body() (body []byte, found bool, err error) {
	return optional(host(), apisix_filter_request.Body())
}

// SetBody replaces the body; it cannot be empty.
func (Request) SetBody(body []byte) error { return done(host(), apisix_filter_request.SetBody(body)) }

// SetResponseHeader sets a header of the response that will come.
func (Request) SetResponseHeader(name, value string) error {
	return done(host(), apisix_filter_request.SetResponseHeader(utf8(name), utf8(value)))
}
func (Request) SetResponseHeaderBytes(name string, value []byte) error {
	return done(host(), apisix_filter_request.SetResponseHeaderBytes(utf8(name), value))
}

// AddResponseHeader adds a header to the response that will come.
func (Request) AddResponseHeader(name, value string) error {
	return done(host(), apisix_filter_request.AddResponseHeader(utf8(name), utf8(value)))
}
func (Request) AddResponseHeaderBytes(name string, value []byte) error {
	return done(host(), apisix_filter_request.AddResponseHeaderBytes(utf8(name), value))
}
