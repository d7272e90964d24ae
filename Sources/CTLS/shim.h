#pragma once

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

// OpenSSL writes these as macros over SSL_ctrl and SSL_CTX_ctrl, which Swift does not import.
static inline long CTLS_set_min_version(SSL_CTX *context, int version) {
    return SSL_CTX_set_min_proto_version(context, version);
}
static inline long CTLS_set_host_name(SSL *ssl, const char *name) { return SSL_set_tlsext_host_name(ssl, name); }
static const int CTLS_TLS1_2_VERSION = TLS1_2_VERSION;
