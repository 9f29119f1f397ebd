;; Gives the response the status that is its configuration, which is refused,
;; and lives on.
(import "apisix:filter/response@0.1.0" "set-status" (func $set-status (param i32 i32)))
(func (export "apisix:filter/response-handler@0.1.0#on-response") (result i32)
  (call $set-status (call $number) (i32.const 64))
  (call $expect-error (i32.const 2))
  i32.const 0)
