;; Wants all the memory that there can be, at once, and cannot do without.
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (if (i32.eq (memory.grow (i32.const 65000)) (i32.const -1)) (then unreachable))
  i32.const 0)
