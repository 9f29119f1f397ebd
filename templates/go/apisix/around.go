// What is around a request and a response: variables, the chain, the plugin, the
// clock, the log.

package apisix

import (
	"time"

	"my-filter/apisix/internal/apisix_filter_chain"
	"my-filter/apisix/internal/apisix_filter_clock"
	"my-filter/apisix/internal/apisix_filter_log"
	"my-filter/apisix/internal/apisix_filter_plugin"
	"my-filter/apisix/internal/apisix_filter_variables"
)

// Variable is a variable of the gateway, such as `remote_port` or `consumer_name`,
// and whether the gateway knows it. It is asked for once per call.
func Variable(name string) (value string, found bool, err error) {
	return optional(host(), apisix_filter_variables.Get(utf8(name)))
}

// VariableBytes is Variable without a change of any byte.
func VariableBytes(name string) (value []byte, found bool, err error) {
	return optional(host(), apisix_filter_variables.GetBytes(utf8(name)))
}

// Variables asks for several variables in one exchange; those that the gateway
// does not know are not in the map.
func Variables(names ...string) (map[string]string, error) {
	asked := make([]string, len(names))
	for i, name := range names {
		asked[i] = utf8(name)
	}
	options, err := value(host(), apisix_filter_variables.GetMany(asked))
	known := make(map[string]string, len(options))
	for i, option := range options {
		if option.Tag() != 0 {
			known[names[i]] = option.Some()
		}
	}
	return known, err
}

// ChainGet is a value that a filter before this one in the same call set.
func ChainGet(key string) (value string, found bool, err error) {
	return optional(host(), apisix_filter_chain.Get(utf8(key)))
}

// ChainSet sets a value for the filters of the same call that come after.
func ChainSet(key, value string) error {
	return done(host(), apisix_filter_chain.Set(utf8(key), utf8(value)))
}

// ChainRemove removes such a value.
func ChainRemove(key string) error { return done(host(), apisix_filter_chain.Remove(utf8(key))) }

// PluginName is what the gateway's configuration calls this filter.
func PluginName() string { return apisix_filter_plugin.Name() }

// ConfigurationBytes is the configuration exactly as the gateway sent it.
func ConfigurationBytes() []byte { return apisix_filter_plugin.ConfigurationBytes() }

// Now is the time, to the millisecond; so is time.Now.
func Now() time.Time { return time.UnixMilli(int64(apisix_filter_clock.NowMs())) }

// Level is how much a line of the log matters, the least first.
type Level = apisix_filter_log.Level

const (
	Trace = apisix_filter_log.LevelTrace
	Debug = apisix_filter_log.LevelDebug
	Info  = apisix_filter_log.LevelInfo
	Warn  = apisix_filter_log.LevelWarn
	Fault = apisix_filter_log.LevelError
)

// Log writes one line to the runner's log, under the filter's name.
func Log(level Level, line string) { apisix_filter_log.Log(level, utf8(line)) }

// LogEnabled is whether a line at this level would be written.
func LogEnabled(level Level) bool { return apisix_filter_log.Enabled(level) }

// LogInfo is Log at the level Info; and so on.
func LogInfo(line string)  { Log(Info, line) }
func LogWarn(line string)  { Log(Warn, line) }
func LogError(line string) { Log(Fault, line) }
