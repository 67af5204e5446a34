module slow_store

go 1.19
