;; Calls itself until the stack ends, in either phase.
(func $deeper (param i32) (result i32)
  (i32.add (call $deeper (i32.add (local.get 0) (i32.const 1))) (local.get 0)))
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (call $deeper (i32.const 0)))
(func (export "apisix:filter/response-handler@0.1.0#on-response") (result i32)
  (call $deeper (i32.const 0)))
