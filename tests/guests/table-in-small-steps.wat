;; Wants a thousand elements more each time, and cannot do without.
(table $table 1 funcref)
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (loop $again
    (if (i32.eq (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1))
      (then unreachable))
    (br $again))
  unreachable)
