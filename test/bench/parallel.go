package main

import (
	"errors"
	"sync"
)

// parallel does n pieces of work, at most limit at a time, all of them whatever fails.
func parallel(n, limit int, do func(i int) error) error {
	places, errs := make(chan struct{}, limit), make([]error, n)
	var group sync.WaitGroup
	for i := range n {
		places <- struct{}{}
		group.Go(func() {
			defer func() { <-places }()
			errs[i] = do(i)
		})
	}
	group.Wait()
	return errors.Join(errs...)
}
