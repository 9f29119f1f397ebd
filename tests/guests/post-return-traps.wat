;; Answers well and traps when it is told that its answer was read.
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  i32.const 0)
(func (export "cabi_post_apisix:filter/request-handler@0.1.0#on-request") (param i32) unreachable)
