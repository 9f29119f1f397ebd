;; Writes lines for ever that look like the runner's own: terminal escapes, line
;; feeds, a time and a level.
(import "apisix:filter/log@0.1.0" "log" (func $log (param i32 i32 i32)))
(data (i32.const 512) "\0a\1b[2J2026-01-01T00:00:00Z ERROR runner: all is lost\0d\0a\00")
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (loop $again
    (call $log (i32.const 4) (i32.const 512) (i32.const 54))
    (br $again))
  unreachable)
