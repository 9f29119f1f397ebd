;; Answers with a verdict that does not exist.
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (i32.store8 (i32.const 132) (i32.const 7))
  i32.const 128)
