#pragma once

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// OpenSSL writes these as macros (over SSL_ctrl, SSL_CTX_ctrl, BIO_set_flags, sk_*), which Swift does not import.
static inline long CTLS_set_min_version(SSL_CTX *context, int version) {
    return SSL_CTX_set_min_proto_version(context, version);
}
static inline long CTLS_set_max_version(SSL_CTX *context, int version) {
    return SSL_CTX_set_max_proto_version(context, version);
}
static inline long CTLS_set_host_name(SSL *ssl, const char *name) { return SSL_set_tlsext_host_name(ssl, name); }
static inline long CTLS_set_mode(SSL_CTX *context, long mode) { return SSL_CTX_set_mode(context, mode); }
static inline void CTLS_set_read_ahead(SSL_CTX *context) { SSL_CTX_set_read_ahead(context, 1); }
static inline long CTLS_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
    return SSL_CTX_add1_chain_cert(context, certificate);
}
static inline void CTLS_free(void *memory) { OPENSSL_free(memory); }
static const unsigned long CTLS_NAME_ONELINE = XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB;
static const int CTLS_TLS1_2_VERSION = TLS1_2_VERSION;
static const long CTLS_MODE_PARTIAL_WRITE = SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER;
static inline void CTLS_BIO_retry(BIO *bio, int reading) {
    if (reading) BIO_set_retry_read(bio);
    else BIO_set_retry_write(bio);
}
static inline void CTLS_BIO_clear_retry(BIO *bio) { BIO_clear_retry_flags(bio); }
static inline int CTLS_names_count(const GENERAL_NAMES *names) { return sk_GENERAL_NAME_num(names); }
static inline const GENERAL_NAME *CTLS_names_at(const GENERAL_NAMES *names, int index) {
    return sk_GENERAL_NAME_value(names, index);
}
