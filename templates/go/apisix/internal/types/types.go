// Package wit_types is what the generated bindings say option and result with.
package wit_types

const (
	OptionNone = 0
	OptionSome = 1
	ResultOk   = 0
	ResultErr  = 1
)

// Unit is the value of a result without one.
type Unit struct{}

// Option is a value that may not be there.
type Option[T any] struct {
	tag   uint8
	value T
}

// Tag is OptionNone or OptionSome.
func (o Option[T]) Tag() uint8 { return o.tag }

// Some is the value; the zero value where there is none.
func (o Option[T]) Some() T { return o.value }

// None is no value.
func None[T any]() Option[T] { return Option[T]{} }

// Some is a value.
func Some[T any](value T) Option[T] { return Option[T]{OptionSome, value} }

// Result is a value or an error.
type Result[T, E any] struct {
	tag   uint8
	value T
	err   E
}

// Tag is ResultOk or ResultErr.
func (r Result[T, E]) Tag() uint8 { return r.tag }

// Ok is the value; the zero value where there is an error.
func (r Result[T, E]) Ok() T { return r.value }

// Err is the error; the zero value where there is a value.
func (r Result[T, E]) Err() E { return r.err }

// Ok is a result with a value.
func Ok[T, E any](value T) Result[T, E] { return Result[T, E]{tag: ResultOk, value: value} }

// Err is a result with an error.
func Err[T, E any](err E) Result[T, E] { return Result[T, E]{tag: ResultErr, err: err} }
