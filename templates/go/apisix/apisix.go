// Package apisix is what a filter sees of the gateway. A filter is a type with
// these methods, handed to Register in an init function:
//
//	Configure(text string) error
//	OnRequest(r apisix.Request) (apisix.Verdict, error)    for the request phase
//	OnResponse(r apisix.Response) error                    for the response phase
//
// wit/ says in full what each function does, its errors and its limits; the
// names here are the same.
//
// A filter must not count on meeting its own variables again. What Configure
// leaves is there in every call; what a call writes is gone after it, unless the
// operator said `instances: warm` for this plugin.
//
// Text and bytes. Functions that return a string show bytes that are not UTF-8 as
// U+FFFD; those whose names end in Bytes show them as they are. Where a string is
// handed to the host, U+FFFD stands for each run of bytes that are not UTF-8.
package apisix

import (
	"fmt"
	"runtime/debug"
	"strings"

	"my-filter/apisix/internal/apisix_filter_request_handler"
	"my-filter/apisix/internal/apisix_filter_types"
	"my-filter/apisix/internal/export_apisix_filter_configuration"
	"my-filter/apisix/internal/export_apisix_filter_request_handler"
	"my-filter/apisix/internal/export_apisix_filter_response_handler"
	"my-filter/apisix/internal/runtime"
	wit "my-filter/apisix/internal/types"
	_ "my-filter/apisix/internal/wit_exports"
)

// Filter is what every filter has.
type Filter interface {
	// Configure takes the configuration text of this plugin on this route. An
	// error is the reason why it is refused: it is logged, and every call with
	// this configuration fails.
	Configure(text string) error
}

// RequestFilter is a filter for the request phase.
type RequestFilter interface {
	// OnRequest looks at the request and may change it. An error is a failure
	// of the filter: it is logged and the request fails.
	OnRequest(Request) (Verdict, error)
}

// ResponseFilter is a filter for the response phase.
type ResponseFilter interface {
	// OnResponse looks at the response and may change it. An error is a failure
	// of the filter: it is logged and the response is withheld.
	OnResponse(Response) error
}

// Header is one header line. One that was sent twice is two of these.
type Header struct {
	Name, Value string
}

// Verdict is what is to become of a request.
type Verdict struct {
	stop *apisix_filter_request_handler.StopResponse
}

// Next lets the request go on, to the next filter and then the upstream.
var Next Verdict

// Stop ends the request with a response from the filter. The status is 200 to
// 599; the gateway shows a page of its own for an empty body with a status of
// 300 or more.
func Stop(status uint16, body string, headers ...Header) Verdict {
	entries := make([]apisix_filter_types.HeaderEntry, len(headers))
	for i, header := range headers {
		entries[i] = apisix_filter_types.HeaderEntry{Name: utf8(header.Name), Value: utf8(header.Value)}
	}
	return Verdict{&apisix_filter_request_handler.StopResponse{
		Status: status, Headers: entries, Body: []byte(body),
	}}
}

// ErrorKind is why the host did not do what was asked.
type ErrorKind uint8

const (
	Unsupported ErrorKind = ErrorKind(apisix_filter_types.ErrorUnsupported)
	WrongPhase  ErrorKind = ErrorKind(apisix_filter_types.ErrorWrongPhase)
	Invalid     ErrorKind = ErrorKind(apisix_filter_types.ErrorInvalid)
	Limit       ErrorKind = ErrorKind(apisix_filter_types.ErrorLimit)
	Gateway     ErrorKind = ErrorKind(apisix_filter_types.ErrorGateway)
	Denied      ErrorKind = ErrorKind(apisix_filter_types.ErrorDenied)
	Other       ErrorKind = ErrorKind(apisix_filter_types.ErrorOther)
)

// Error is what functions of the host return.
type Error struct {
	Kind ErrorKind
	// Names the function and what would have been accepted.
	Text string
}

func (e *Error) Error() string { return e.Text }

var filter Filter

// Register says which filter this is. Call it once, in an init function.
func Register(f Filter) { filter = f }

func init() {
	export_apisix_filter_configuration.Configure = func(text string) wit.Result[wit.Unit, string] {
		return outcome(func() error {
			if filter == nil {
				return fmt.Errorf("no filter: call apisix.Register in an init function")
			}
			return filter.Configure(text)
		})
	}
	export_apisix_filter_request_handler.OnRequest = func() wit.Result[apisix_filter_request_handler.Verdict, string] {
		verdict := Next
		done := outcome(func() (err error) {
			handler, ok := filter.(RequestFilter)
			if !ok {
				return fmt.Errorf("this filter has no OnRequest")
			}
			verdict, err = handler.OnRequest(Request{})
			return err
		})
		if done.Tag() == wit.ResultErr {
			return wit.Err[apisix_filter_request_handler.Verdict](done.Err())
		}
		if verdict.stop == nil {
			return wit.Ok[apisix_filter_request_handler.Verdict, string](apisix_filter_request_handler.MakeVerdictNext())
		}
		return wit.Ok[apisix_filter_request_handler.Verdict, string](apisix_filter_request_handler.MakeVerdictStop(*verdict.stop))
	}
	export_apisix_filter_response_handler.OnResponse = func() wit.Result[wit.Unit, string] {
		return outcome(func() error {
			handler, ok := filter.(ResponseFilter)
			if !ok {
				return fmt.Errorf("this filter has no OnResponse")
			}
			return handler.OnResponse(Response{})
		})
	}
}

// A panic fails this call with its message; where it happened goes to the log. An
// instance that answered with an error is not used again.
func outcome(handler func() error) (result wit.Result[wit.Unit, string]) {
	openCalls = 0
	runtime.Unpin()
	defer func() {
		if cause := recover(); cause != nil {
			logStack(string(debug.Stack()))
			result = wit.Err[wit.Unit](utf8(fmt.Sprint("panic: ", cause)))
		}
		runtime.EndLine()
	}()
	if err := handler(); err != nil {
		return wit.Err[wit.Unit](utf8(err.Error()))
	}
	return wit.Ok[wit.Unit, string](wit.Unit{})
}

// The part of the stack that is the filter's: below the panic, above this package.
func logStack(stack string) {
	_, stack, _ = strings.Cut(stack, "\npanic(")
	stack, _, _ = strings.Cut(stack, "\nmy-filter/apisix.init")
	lines := strings.Split(stack, "\n")
	for _, line := range lines[min(2, len(lines)):] {
		LogError(strings.ReplaceAll(line, "\t", "    "))
	}
}

// The host takes UTF-8 only, and traps the filter otherwise.
func utf8(text string) string { return strings.ToValidUTF8(text, "\uFFFD") }

func failure(e apisix_filter_types.Error) error {
	text := ""
	switch e.Tag() {
	case apisix_filter_types.ErrorUnsupported:
		text = e.Unsupported()
	case apisix_filter_types.ErrorWrongPhase:
		text = e.WrongPhase()
	case apisix_filter_types.ErrorInvalid:
		text = e.Invalid()
	case apisix_filter_types.ErrorLimit:
		text = e.Limit()
	case apisix_filter_types.ErrorGateway:
		text = e.Gateway()
	case apisix_filter_types.ErrorDenied:
		text = e.Denied()
	default:
		text = e.Other()
	}
	return &Error{ErrorKind(e.Tag()), text}
}

// A call of the host stands between host() and the function that takes its result,
// which Go evaluates in this order. Once no call is open, what the host handed
// over is only kept alive by what was made of it.
type call struct{}

var openCalls int

func host() call {
	openCalls++
	return call{}
}

func (call) ended() {
	openCalls--
	if openCalls == 0 {
		runtime.Unpin()
	}
}

func done(c call, result wit.Result[wit.Unit, apisix_filter_types.Error]) error {
	c.ended()
	if result.Tag() == wit.ResultErr {
		return failure(result.Err())
	}
	return nil
}

func value[T any](c call, result wit.Result[T, apisix_filter_types.Error]) (T, error) {
	c.ended()
	if result.Tag() == wit.ResultErr {
		return result.Ok(), failure(result.Err())
	}
	return result.Ok(), nil
}

func optional[T any](c call, result wit.Result[wit.Option[T], apisix_filter_types.Error]) (found T, ok bool, err error) {
	option, err := value(c, result)
	return option.Some(), option.Tag() == wit.OptionSome, err
}

func mapped[From, To any](c call, result wit.Result[[]From, apisix_filter_types.Error], convert func(From) To) ([]To, error) {
	from, err := value(c, result)
	to := make([]To, len(from))
	for i := range from {
		to[i] = convert(from[i])
	}
	return to, err
}

func toHeader(entry apisix_filter_types.HeaderEntry) Header {
	return Header{entry.Name, entry.Value}
}

// HeaderBytes is Header without a change of any byte.
type HeaderBytes struct {
	Name, Value []byte
}

func toHeaderBytes(entry apisix_filter_types.HeaderEntryBytes) HeaderBytes {
	return HeaderBytes{entry.Name, entry.Value}
}
