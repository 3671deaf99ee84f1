// Package server brings the contract's requests to the log and its answers back.
package server
