package binance

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	lib "github.com/adshao/go-binance/v2"
	libws "github.com/adshao/go-binance/v2/common/websocket"

	"github.com/robson/robson/services/connector/internal/venue"
)

const (
	opLendings    = "lendings"
	opListenToken = "listen_token"
	// methodListenToken joins a margin account's user stream; the library does not know it.
	methodListenToken = "userDataStream.subscribe.listenToken" //nolint:gosec // the name of a method, not a token
	// recordsMax is how many loans one page has.
	recordsMax = 100
	// recordsKept is how far back loans are listed of.
	recordsKept = 7*24*time.Hour - time.Minute
	// recordsOverlap is how far before the last report they are listed from.
	recordsOverlap = time.Minute
	// lendingsEvery is how often loans are asked for where nothing trades; after an execution, or where an answer about balances owes another
	// sum than the one before, it is at once, and lendingsAgain more times after lendingsSoon, since the list lags.
	lendingsEvery = time.Minute
	lendingsSoon  = time.Second
	lendingsAgain = 3
)

// lendings are the loans of an isolated margin account, of which its stream says nothing: they are asked for.
type lendings struct {
	pair  *pair
	since time.Time
	seen  map[int64]bool
	due   time.Time
	again int
}

func (p *pair) lendingsAfter(cursor venue.Cursor) *lendings {
	now := p.venue.clock.Now()
	since := now.Add(-recordsKept)
	if last := instant(int64(cursor) / cursorsPerMilli).Add(-recordsOverlap); last.After(since) {
		since = last
	}
	return &lendings{pair: p, since: since, seen: map[int64]bool{}, due: now}
}

// told has loans asked for once an execution may have made some.
func (l *lendings) told(reports []venue.Report) {
	if slices.ContainsFunc(reports, func(r venue.Report) bool { return r.Execution != nil }) {
		l.due, l.again = l.pair.venue.clock.Now(), lendingsAgain
	}
}

// news are the reports of loans that were not told yet, if it is time to ask. A question that fails is asked again.
func (l *lendings) news(ctx context.Context, t *translator) []venue.Report {
	now := l.pair.venue.clock.Now()
	if l.pair.debt.moved.Swap(false) { // by an execution that the stream has not told of
		l.due, l.again = now, lendingsAgain
	}
	if now.Before(l.due) {
		return nil
	}
	l.due = now.Add(lendingsEvery)
	if l.again > 0 {
		l.again--
		l.due = now.Add(lendingsSoon)
	}
	var all []lent
	for _, kind := range []lib.MarginAccountBorrowRepayType{lib.MarginAccountBorrow, lib.MarginAccountRepay} {
		some, err := l.list(ctx, kind)
		if err != nil {
			l.pair.venue.log.WarnContext(ctx, "loans are not listed", "account_key", string(l.pair.ref.Key), "error", err)
			l.due = now.Add(lendingsSoon)
			return nil
		}
		all = append(all, some...)
	}
	slices.SortFunc(all, func(x, y lent) int {
		return cmp.Or(cmp.Compare(x.at, y.at), cmp.Compare(x.loan.TranID, y.loan.TranID))
	})
	reports := make([]venue.Report, 0, len(all))
	for _, one := range all {
		l.seen[one.loan.TranID] = true
		reports = append(reports, venue.Report{Cursor: t.next(one.at), Time: instant(one.at), Loan: &one.loan})
	}
	return reports
}

type lent struct {
	loan venue.Loan
	at   int64
}

// list gives the loans of a kind that were not told yet.
func (l *lendings) list(ctx context.Context, kind lib.MarginAccountBorrowRepayType) ([]lent, error) {
	var out []lent
	for page := int64(1); ; page++ {
		var records *lib.MarginBorrowRepayResponse
		c, err := l.pair.ask(ctx, opLendings, weightMargin, asking, func(ctx context.Context, client *lib.Client) (err error) {
			records, err = client.NewListMarginBorrowRepayService().IsolatedSymbol(l.pair.ref.MarginSymbol).Type(kind).
				StartTime(l.since.UnixMilli()).Current(page).Size(recordsMax).Do(ctx, l.pair.venue.window())
			return err
		})
		if err != nil {
			return nil, err
		}
		for _, row := range records.Rows {
			one, told, err := l.read(kind, row)
			if err != nil {
				return nil, unreadable(c)
			}
			if told {
				out = append(out, one)
			}
		}
		if len(records.Rows) < recordsMax {
			return out, nil
		}
	}
}

// read gives a record that is news: one that is not done yet is so later, and one that failed never.
func (l *lendings) read(kind lib.MarginAccountBorrowRepayType, row lib.MarginBorrowRepay) (one lent, told bool, err error) {
	if l.seen[row.TxID] || row.Status != lib.MarginAccountBorrowRepayStatusConfirmed {
		return one, false, nil
	}
	var n numbers
	one = lent{at: row.Timestamp, loan: venue.Loan{
		Kind: venue.Borrow, Symbol: l.pair.ref.MarginSymbol, Asset: row.Asset, Amount: n.read(row.Amount), Principal: n.read(row.Principal),
		Interest: n.read(row.Interest), TranID: row.TxID, SideEffect: row.Type == "AUTO",
	}}
	if kind == lib.MarginAccountRepay {
		one.loan.Kind = venue.Repay
	}
	if row.TxID <= 0 || row.Asset == "" || row.Timestamp <= 0 || !one.loan.Amount.IsPositive() {
		return one, false, errContent
	}
	return one, true, n.err
}

// receive waits for messages of a line, at most until loans are to be asked for; whether another sum is owed it leaves to be seen soon.
func (l *lendings) receive(ctx context.Context, line *socket) ([][]byte, error) {
	waiting, cancel := context.WithTimeout(ctx, min(lendingsSoon, max(0, l.due.Sub(l.pair.venue.clock.Now()))))
	defer cancel()
	messages, err := line.receive(waiting)
	if waiting.Err() != nil && ctx.Err() == nil && len(messages) == 0 {
		return nil, nil
	}
	return messages, err
}

// listenRequest asks for a token and makes of it the request that joins the account's user stream. A token needs a key and no signature.
func (p *pair) listenRequest(ctx context.Context, id string) ([]byte, error) {
	c, err := p.signed(ctx, opListenToken, weightMargin, asking)
	if err != nil {
		return nil, err
	}
	c.stamp = time.Time{}
	var made struct {
		Token string `json:"token"`
	}
	err = p.venue.do(ctx, c, func(ctx context.Context, client *lib.Client) error {
		address := p.venue.cfg.RESTURL + "/sapi/v1/userListenToken?" + url.Values{"symbol": {p.ref.MarginSymbol}, "isIsolated": {"TRUE"}}.Encode()
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, nil)
		if err != nil {
			return fmt.Errorf("ask for a listen token: %w", err)
		}
		request.Header.Set("X-MBX-APIKEY", client.APIKey)
		response, err := client.HTTPClient.Do(request)
		if err != nil {
			return fmt.Errorf("ask for a listen token: %w", err)
		}
		return response.Body.Close()
	})
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(c.body, &made); err != nil || made.Token == "" {
		return nil, unreadable(c)
	}
	request, err := json.Marshal(libws.WsApiRequest{Id: id, Method: methodListenToken, Params: map[string]any{"listenToken": made.Token}})
	if err != nil {
		return nil, errSigning
	}
	return request, nil
}
