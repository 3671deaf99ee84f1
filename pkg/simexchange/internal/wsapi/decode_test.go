package wsapi

import "testing"

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"id":"1","method":"userDataStream.subscribe.signature","params":{"apiKey":"k","timestamp":1700000000000,"signature":"s"}}`))
	f.Add([]byte(`{"params":{"a":[1,{}],"b":null}}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, message []byte) {
		q, err := Decode(message)
		if err != nil {
			return
		}
		if q.payload() != q.payload() { //nolint:staticcheck // the same request must always sign alike
			t.Fatal("a payload that changes")
		}
	})
}
