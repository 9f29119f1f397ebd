;; Traps when an instance is started.
(func $start unreachable)
(start $start)
