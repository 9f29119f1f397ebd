;; Wants to change the request after it has given its answer.
(import "apisix:filter/request@0.1.0" "set-path" (func $set-path (param i32 i32 i32)))
(data (i32.const 512) "/late")
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  i32.const 0)
(func (export "cabi_post_apisix:filter/request-handler@0.1.0#on-request") (param i32)
  (call $set-path (i32.const 512) (i32.const 5) (i32.const 64)))
