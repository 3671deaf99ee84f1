package snapshot

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math/bits"

	"github.com/cespare/xxhash/v2"
)

// filter is a Bloom filter (Bloom 1970) of a snapshot's keys: it says of most keys that are not there that they are not, without
// a look into any block. 16 bits a key and 8 looks let about one in two thousand through.
type filter []uint64

const (
	filterBits  = 16
	filterLooks = 8
	wordBits    = 64
)

// newFilter makes a filter for so many keys.
func newFilter(keys int) filter {
	return make(filter, max(1, (keys*filterBits+wordBits-1)/wordBits))
}

// spots calls each with where the bits of a key are: by two hashes (Kirsch and Mitzenmacher 2006), until it says no.
func (f filter) spots(key keyName, each func(word int, bit uint64) bool) {
	var buf [128]byte
	text := append(append(append(buf[:0], key[0]...), '/'), key[1]...)
	hash := xxhash.Sum64(text)
	step := bits.RotateLeft64(hash, wordBits/2) | 1
	for range filterLooks {
		spot, _ := bits.Mul64(hash, uint64(len(f))*wordBits)
		if !each(int(spot/wordBits), 1<<(spot%wordBits)) {
			return
		}
		hash += step
	}
}

func (f filter) add(key keyName) {
	f.spots(key, func(word int, bit uint64) bool {
		f[word] |= bit
		return true
	})
}

// mayHave says whether a key may have been added: false is certain.
func (f filter) mayHave(key keyName) bool {
	has := true
	f.spots(key, func(word int, bit uint64) bool {
		has = f[word]&bit != 0
		return has
	})
	return has
}

// MarshalJSON implements json.Marshaler: the words as bytes, least first, in base64.
func (f filter) MarshalJSON() ([]byte, error) {
	data := make([]byte, 0, len(f)*8)
	for _, word := range f {
		data = binary.LittleEndian.AppendUint64(data, word)
	}
	return json.Marshal(data)
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *filter) UnmarshalJSON(text []byte) error {
	var data []byte
	if err := json.Unmarshal(text, &data); err != nil {
		return fmt.Errorf("filter: %w", err)
	}
	if len(data) == 0 || len(data)%8 != 0 {
		return fmt.Errorf("filter: %d bytes are no words", len(data))
	}
	*f = make(filter, len(data)/8)
	for i := range *f {
		(*f)[i] = binary.LittleEndian.Uint64(data[8*i:])
	}
	return nil
}
