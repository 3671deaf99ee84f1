package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// A frame is length (4), sequence (8), checksum of the body (4), checksum of these 16 bytes (4), then the body.
// The head has a checksum of its own, so that a damaged length is told from a torn record.
const (
	frameHeadSize = 20
	// RecordSizeMax bounds one record: the snapshot is the largest thing written.
	RecordSizeMax = 256 << 20
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errTorn marks an incomplete last record.
var errTorn = errors.New("torn record")

func appendFrame(buf []byte, seq int64, body []byte) []byte {
	var head [frameHeadSize]byte
	binary.BigEndian.PutUint32(head[0:], uint32(len(body)))
	binary.BigEndian.PutUint64(head[4:], uint64(seq))
	binary.BigEndian.PutUint32(head[12:], crc32.Checksum(body, castagnoli))
	binary.BigEndian.PutUint32(head[16:], crc32.Checksum(head[:16], castagnoli))
	return append(append(buf, head[:]...), body...)
}

// readFrame reads the next record; remaining is how many bytes the file still has.
// io.EOF at a clean end, errTorn for an incomplete last record, another error for damage.
func readFrame(r io.Reader, remaining int64) (seq int64, body []byte, err error) {
	if remaining == 0 {
		return 0, nil, io.EOF
	}
	if remaining < frameHeadSize {
		return 0, nil, errTorn
	}
	var head [frameHeadSize]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, fmt.Errorf("read record head: %w", err)
	}
	if crc32.Checksum(head[:16], castagnoli) != binary.BigEndian.Uint32(head[16:]) {
		return 0, nil, tornIfZero(r, head[:])
	}
	size := int64(binary.BigEndian.Uint32(head[0:]))
	seq = int64(binary.BigEndian.Uint64(head[4:]))
	if size > RecordSizeMax {
		return 0, nil, fmt.Errorf("record %d: %d bytes are more than %d", seq, size, RecordSizeMax)
	}
	if remaining-frameHeadSize < size {
		return 0, nil, errTorn
	}
	body = make([]byte, size)
	if _, err := io.ReadFull(r, body); err != nil {
		return 0, nil, fmt.Errorf("read record %d: %w", seq, err)
	}
	if crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(head[12:]) {
		if remaining-frameHeadSize == size {
			return 0, nil, errTorn // the last one: its pages did not all reach the disk
		}
		return 0, nil, fmt.Errorf("record %d: checksum differs", seq)
	}
	return seq, body, nil
}

// tornIfZero tells a head whose pages never reached the disk (zeros to the end of the file) from a damaged one.
func tornIfZero(r io.Reader, head []byte) error {
	if !allZero(head) {
		return errors.New("record head: checksum differs")
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := r.Read(buf)
		if !allZero(buf[:n]) {
			return errors.New("record head: zeros before the end of the file")
		}
		if errors.Is(err, io.EOF) {
			return errTorn
		}
		if err != nil {
			return fmt.Errorf("read after record head: %w", err)
		}
	}
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}
