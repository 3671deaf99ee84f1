// Package keys holds the API keys of venue accounts: from a directory of files, which is looked at again when it changes, and
// from the environment of the process.
//
// A name says whose key it is, by tenant and account, and may carry a label where an account has several:
//
//	DIR/<tenant id>_<account id>[.label]              a file: the API key in the first line, what signs in the others
//	DIR/<tenant id>_<account id>[.label]/api_key      or a directory of files, as Kubernetes mounts a secret
//	DIR/<tenant id>_<account id>[.label]/secret         an HMAC secret, or
//	DIR/<tenant id>_<account id>[.label]/private_key    an RSA (PKCS#1, PKCS#8) or Ed25519 (PKCS#8) private key in PEM
//	ROBSON_KEY_<tenant>_<account>[_LABEL]             a variable, with ids without dashes: the text of such a file
//
// Names that begin with a dot are passed over (Kubernetes keeps its own there), as is everything else that names no account; the
// latter is told once.
//
// Of an account's keys the one is used whose fingerprint is the account's, as it was registered or last rotated. So a key is
// exchanged without a pause: put the new one beside the old, RotateCredentials, take the old one away. A key that is not the
// account's is never used.
//
// What is held shows itself nowhere: neither formatted, nor logged, nor as JSON. What is replaced is overwritten, as far as Go
// allows: the strings that a client library is given are its own.
package keys
