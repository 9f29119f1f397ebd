;; Wants a table of ten million elements and cannot do without.
(table $table 1 funcref)
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (if (i32.eq (table.grow $table (ref.null func) (i32.const 10000000)) (i32.const -1))
    (then unreachable))
  i32.const 0)
