package snapshot

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/klauspost/compress/zstd"
)

// How compressed snapshots are stored: frames of zstd, one for each block and one for the last line, and then a frame that zstd
// skips (RFC 8878, 3.1.2). That one holds the frames' lengths, four bytes each, how many they are, and the SHA-256 of all
// bytes before the hash.
const (
	skippable     = 0x184D2A5E
	skippableHead = 8
	wordSize      = 4
	sealSize      = wordSize + sha256.Size
)

var magic = []byte{0x28, 0xb5, 0x2f, 0xfd} // How zstd begins; text begins with a bracket.

// zipper makes frames. It is for one goroutine at a time.
var zippers = sync.Pool{New: func() any {
	zip, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderCRC(false), zstd.WithWindowSize(windowMax))
	if err != nil {
		return fmt.Errorf("make a compressor: %w", err)
	}
	return zip
}}

// zipped appends the frame of a text.
func zipped(out, text []byte) ([]byte, error) {
	switch zip := zippers.Get().(type) {
	case *zstd.Encoder:
		defer zippers.Put(zip)
		return zip.EncodeAll(text, out), nil
	case error:
		return nil, zip
	}
	return nil, nil
}

// windowMax bounds what a compressor and a reader hold of the text behind them.
const windowMax = 1 << 20

var unzippers = sync.Pool{New: func() any {
	unzip, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(TextMax), zstd.WithDecoderMaxWindow(windowMax))
	if err != nil {
		return fmt.Errorf("make a decompressor: %w", err)
	}
	return unzip
}}

// unzipped gives a frame's text, which must have so many bytes.
func unzipped(frame []byte, length int64) ([]byte, error) {
	switch unzip := unzippers.Get().(type) {
	case *zstd.Decoder:
		defer unzippers.Put(unzip)
		var header zstd.Header
		if err := header.Decode(frame); err != nil {
			return nil, unfit(ReasonCompression, "%s", err)
		}
		if header.HasFCS && header.FrameContentSize != uint64(length) {
			return nil, unfit(ReasonLength, "a block has %d bytes, and had %d", header.FrameContentSize, length)
		}
		text, err := unzip.DecodeAll(frame, make([]byte, 0, length))
		if err != nil {
			return nil, unfit(ReasonCompression, "%s", err)
		}
		return text, nil
	case error:
		return nil, unzip
	}
	return nil, nil
}

// sealed appends the frame that zstd skips to frames of these lengths.
func sealed(frames []byte, lengths []uint32) []byte {
	out := binary.LittleEndian.AppendUint32(frames, skippable)
	out = binary.LittleEndian.AppendUint32(out, uint32(wordSize*len(lengths)+sealSize))
	for _, length := range lengths {
		out = binary.LittleEndian.AppendUint32(out, length)
	}
	out = binary.LittleEndian.AppendUint32(out, uint32(len(lengths)))
	hash := sha256.Sum256(out)
	return append(out, hash[:]...)
}

// framesOf cuts stored bytes into their frames. Bytes of which one bit is not as it was are *Unfit.
func framesOf(stored []byte) ([][]byte, error) {
	if len(stored) < skippableHead+sealSize {
		return nil, unfit(ReasonLength, "%d bytes are none of a snapshot", len(stored))
	}
	body, hash := stored[:len(stored)-sha256.Size], stored[len(stored)-sha256.Size:]
	if now := sha256.Sum256(body); !bytes.Equal(now[:], hash) {
		return nil, unfit(ReasonHash, "its bytes hash to %x, and hashed to %x", now, hash)
	}
	count := int64(binary.LittleEndian.Uint32(body[len(body)-wordSize:]))
	head := int64(len(body)) - wordSize - wordSize*count - skippableHead
	if count < 1 || head < 0 || binary.LittleEndian.Uint32(body[head:]) != skippable ||
		int64(binary.LittleEndian.Uint32(body[head+wordSize:])) != wordSize*count+sealSize {
		return nil, unfit(ReasonFormat, "its frames are not told as they are written")
	}
	frames, rest := make([][]byte, count), body[:head]
	for i := range frames {
		length := int64(binary.LittleEndian.Uint32(body[head+skippableHead+wordSize*int64(i):]))
		if length > int64(len(rest)) {
			return nil, unfit(ReasonFormat, "its frames are longer than it is")
		}
		frames[i], rest = rest[:length:length], rest[length:]
	}
	if len(rest) > 0 {
		return nil, unfit(ReasonFormat, "its frames are shorter than it is")
	}
	return frames, nil
}
