module github.com/robson/robson/test

go 1.26.0

require github.com/robson/robson/proto v0.0.0

replace github.com/robson/robson/proto => ../proto
