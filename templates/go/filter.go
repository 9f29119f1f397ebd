// The filter my-filter: sets a header of the request, writes the language in
// lower case, denies what the configuration denies and marks the response.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"my-filter/apisix"
)

// What Configure leaves here is there in every call. What a call leaves here is
// not: calls do not meet each other.
type filter struct {
	header, value, deny string
}

func init() { apisix.Register(&filter{}) }

// Go wants one; nothing calls it.
func main() {}

// Configure is called before any other method, with the text that stands behind
// this filter's name on the route. The error goes to the log.
func (f *filter) Configure(text string) error {
	// Pointers tell what is missing from what is empty.
	var configuration struct {
		Header, Value *string
		Deny          string
	}
	if err := json.Unmarshal([]byte(text), &configuration); err != nil {
		return fmt.Errorf("cannot use this JSON: %w", err)
	}
	if configuration.Header == nil {
		return errors.New("`header` is missing")
	}
	if configuration.Value == nil {
		return errors.New("`value` is missing")
	}
	f.header, f.value, f.deny = *configuration.Header, *configuration.Value, configuration.Deny
	return nil
}

func (f *filter) OnRequest(r apisix.Request) (apisix.Verdict, error) {
	path, err := r.Path()
	if err != nil {
		return apisix.Next, err
	}
	if f.deny != "" && strings.HasPrefix(path, f.deny) {
		return apisix.Stop(403, path+" is not for you\n",
			apisix.Header{Name: "content-type", Value: "text/plain"}), nil
	}

	if err := r.SetHeader(f.header, f.value); err != nil {
		return apisix.Next, err
	}

	lang, found, err := r.Arg("lang")
	if err != nil {
		return apisix.Next, err
	}
	// `?lang` is an argument without a value.
	if found && lang.HasValue {
		if err := r.SetArg("lang", lowerASCII(lang.Value)); err != nil {
			return apisix.Next, err
		}
	}

	apisix.LogInfo("passed " + path)
	return apisix.Next, nil
}

// OnResponse is another call than OnRequest, and another instance: what the
// request phase wants to tell this one it writes into a header (docs/phases.md).
func (f *filter) OnResponse(r apisix.Response) error {
	return r.SetHeader("x-filtered", f.value)
}

// strings.ToLower would change letters of other alphabets too.
func lowerASCII(text string) string {
	return strings.Map(func(letter rune) rune {
		if letter >= 'A' && letter <= 'Z' {
			return letter + 'a' - 'A'
		}
		return letter
	}, text)
}
