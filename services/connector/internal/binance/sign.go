package binance

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/adshao/go-binance/v2/common"
)

// errSigning tells that a request could not be signed, and nothing of the key.
var errSigning = errors.New("the key cannot sign")

// stampAndSign gives a request the timestamp that it is to carry, and a signature over it. The library takes the moment of sending for
// both; a sender that was held up would then place what others have given up.
func stampAndSign(request *http.Request, credentials Credentials, stamp time.Time) error {
	body, err := bodyOf(request)
	if err != nil {
		return err
	}
	query := restamp(request.URL.RawQuery, stamp)
	signature, err := sign(credentials, query+string(body))
	if err != nil {
		return err
	}
	request.URL.RawQuery = query + "&signature=" + url.QueryEscape(signature)
	request.Header.Set("X-MBX-APIKEY", credentials.APIKey)
	return nil
}

// bodyOf takes a body out of a request and puts it back without a way to read it again: the transport then cannot send it twice.
func bodyOf(request *http.Request) ([]byte, error) {
	if request.Body == nil || request.Body == http.NoBody {
		return nil, nil
	}
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, fmt.Errorf("read the request: %w", err)
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	request.GetBody = nil
	if len(body) == 0 {
		request.Body, request.ContentLength = http.NoBody, 0
	}
	return body, nil
}

// restamp gives a query its timestamp and takes the library's signature out, which is always last.
func restamp(query string, stamp time.Time) string {
	var kept []string
	for _, pair := range strings.Split(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if pair != "" && name != "timestamp" && name != "signature" {
			kept = append(kept, pair)
		}
	}
	return strings.Join(append(kept, "timestamp="+strconv.FormatInt(stamp.UnixMilli(), 10)), "&")
}

// sign signs text.
func sign(credentials Credentials, text string) (string, error) {
	signer, err := common.SignFunc(strings.ToUpper(cmp.Or(credentials.Type, common.KeyTypeHmac)))
	if err != nil {
		return "", errSigning
	}
	signature, err := signer(credentials.Secret, text)
	if err != nil {
		return "", errSigning // the library's words may quote the key
	}
	return *signature, nil
}
