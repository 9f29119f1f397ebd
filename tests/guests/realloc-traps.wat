;; Traps where the host asks for room.
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) unreachable)
