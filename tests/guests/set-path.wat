;; Gives the request the path that is its configuration, which is refused, and
;; lives on.
(import "apisix:filter/request@0.1.0" "set-path-bytes" (func $set-path (param i32 i32 i32)))
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (call $set-path (global.get $conf) (global.get $conf-len) (i32.const 64))
  (call $expect-error (i32.const 2))
  i32.const 0)
