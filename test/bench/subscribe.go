package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	eventlogv1 "github.com/robson/robson/proto/gen/go/robson/eventlog/v1"
)

const (
	// subscribersCount follow one tenant's log at a time.
	subscribersCount = 100
	// subscribedEvery is how often an event is appended for them.
	subscribedEvery = 20 * time.Millisecond
	// lastArrival is how long the last event may take to all of them.
	lastArrival = 5 * time.Second
)

// arrivals are when events came to subscribers, and when they were answered to who appended them.
type arrivals struct {
	mu       sync.Mutex
	answered map[int64]time.Time
	came     []arrival
}

type arrival struct {
	position int64
	at       time.Time
}

// subscribed has many follow a tenant's log at one replica while events are appended at another: latency is from the answer
// to who appends to the arrival at each of them.
func (s *suite) subscribed(name, title string, from *service) *load {
	return &load{name: name, title: title, callers: subscribersCount, observer: s.all, run: func(ctx context.Context, d time.Duration) (*tally, error) {
		return s.follow(ctx, d, from)
	}}
}

func (s *suite) follow(ctx context.Context, d time.Duration, from *service) (*tally, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t, log := &s.world.tenants[0], s.service.client
	head, err := log.reader(0).GetHead(log.as(ctx, asConnector, t.id), &eventlogv1.GetHeadRequest{})
	if err != nil {
		return nil, fmt.Errorf("read head: %w", err)
	}
	a := &arrivals{answered: map[int64]time.Time{}}
	ready := make(chan error, subscribersCount)
	var subscribers sync.WaitGroup
	for i := range subscribersCount {
		subscribers.Go(func() {
			a.subscribe(from.client.as(ctx, asConnector, t.id), from.client.reader(i), head.GetPosition(), ready)
		})
	}
	for range subscribersCount {
		if err := <-ready; err != nil {
			return nil, err
		}
	}
	began, r := now(), newRand(uint64(head.GetPosition()))
	var events int
	for ; now().Sub(began) < d; events++ {
		out, err := appendOne(log.as(ctx, asConnector, t.id), log.writer(0), sampled(r, t.accounts[events%len(t.accounts)]))
		if err != nil {
			return nil, err
		}
		a.answer(out.GetEvents()[0].GetPosition(), now())
		if err := wait(ctx, subscribedEvery); err != nil {
			return nil, err
		}
	}
	elapsed := now().Sub(began)
	if err := a.await(ctx, events*subscribersCount); err != nil {
		return nil, err
	}
	cancel()
	subscribers.Wait()
	return a.tally(elapsed), nil
}

// subscribe notes what comes, until the context ends. ready is told when it has caught up, or why it has not.
func (a *arrivals) subscribe(ctx context.Context, log eventlogv1.ReadServiceClient, after int64, ready chan<- error) {
	stream, err := log.Subscribe(ctx, &eventlogv1.SubscribeRequest{AfterPosition: after})
	if err != nil {
		ready <- fmt.Errorf("subscribe: %w", err)
		return
	}
	for caughtUp := false; ; {
		message, err := stream.Recv()
		if err != nil {
			if !caughtUp {
				ready <- fmt.Errorf("subscribe: %w", err)
			}
			return
		}
		at := now()
		if e := message.GetEvent(); e != nil {
			a.mu.Lock()
			a.came = append(a.came, arrival{e.GetPosition(), at})
			a.mu.Unlock()
		} else if !caughtUp {
			caughtUp = true
			ready <- nil
		}
	}
}

func (a *arrivals) answer(position int64, at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answered[position] = at
}

// await returns when so many have come.
func (a *arrivals) await(ctx context.Context, count int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, lastArrival, errors.New("subscribers did not get all that was appended"))
	defer cancel()
	for {
		a.mu.Lock()
		come := len(a.came)
		a.mu.Unlock()
		if come >= count {
			return nil
		}
		if err := wait(ctx, subscribedEvery); err != nil {
			return err
		}
	}
}

// tally counts each arrival. One that came before the answer took no time.
func (a *arrivals) tally(elapsed time.Duration) *tally {
	t := &tally{elapsed: elapsed}
	for _, c := range a.came {
		t.note(max(c.at.Sub(a.answered[c.position]), 0), 1, nil)
	}
	return t
}
