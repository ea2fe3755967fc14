//! TLS, SASL, authorization and delegation tokens.

use crate::config::refusals::{AUTHORIZER, PLUGIN, SASL, TLS, TOKENS};
use crate::config::row::rows;

rows! {
    "authorizer.class.name": String = "" where Any, Low, ReadOnly,
        Refuse(AUTHORIZER),
        "Class that decides who may do what; empty lets everybody do everything.";
    "principal.builder.class": Class = "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder" where Any, Medium, PerBroker,
        Refuse(PLUGIN),
        "Class that makes a principal out of a connection.";
    "security.providers": String = none where Any, Low, ReadOnly,
        Refuse(PLUGIN),
        "Java security providers.";
    "delegation.token.secret.key": Password = none where Any, Medium, ReadOnly,
        Refuse(TOKENS),
        "Secret from which delegation tokens are derived; none turns them off.";
    "delegation.token.max.lifetime.ms": Long = "604800000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Longest life of a delegation token, renewals included.";
    "delegation.token.expiry.time.ms": Long = "86400000" where AtLeast(1), Medium, ReadOnly,
        Warn,
        "Life of a delegation token that is not renewed.";
    "delegation.token.expiry.check.interval.ms": Long = "3600000" where AtLeast(1), Low, ReadOnly,
        Warn,
        "How often expired tokens are looked for.";
    "ssl.allow.dn.changes": Boolean = "false" where Any, Low, ReadOnly,
        Refuse(TLS),
        "Whether a new certificate may have another distinguished name.";
    "ssl.allow.san.changes": Boolean = "false" where Any, Low, ReadOnly,
        Refuse(TLS),
        "Whether a new certificate may have other alternative names.";
    "ssl.cipher.suites": List = "" where Any, Medium, PerBroker,
        Refuse(TLS),
        "Cipher suites that may be used; empty means the library's choice.";
    "ssl.client.auth": String = "none" where OneOf(&["required", "requested", "none"]), Medium, PerBroker,
        Refuse(TLS),
        "Whether clients must, may or need not show a certificate.";
    "ssl.enabled.protocols": List = "TLSv1.2,TLSv1.3" where Any, Medium, PerBroker,
        Refuse(TLS),
        "TLS versions that may be used.";
    "ssl.endpoint.identification.algorithm": String = "https" where Any, Low, PerBroker,
        Refuse(TLS),
        "How the name in a server's certificate is checked; empty for not at all.";
    "ssl.engine.factory.class": Class = none where Any, Low, PerBroker,
        Refuse(TLS),
        "Class that makes TLS engines.";
    "ssl.key.password": Password = none where Any, Medium, PerBroker,
        Refuse(TLS),
        "Password of the private key.";
    "ssl.keymanager.algorithm": String = "SunX509" where Any, Medium, PerBroker,
        Refuse(TLS),
        "Algorithm of Java's key manager.";
    "ssl.keystore.certificate.chain": Password = none where Any, Medium, PerBroker,
        Refuse(TLS),
        "Certificates, in PEM.";
    "ssl.keystore.key": Password = none where Any, Medium, PerBroker,
        Refuse(TLS),
        "Private key, in PEM.";
    "ssl.keystore.location": String = none where Any, Medium, PerBroker,
        Refuse(TLS),
        "File of the key store.";
    "ssl.keystore.password": Password = none where Any, Medium, PerBroker,
        Refuse(TLS),
        "Password of the key store.";
    "ssl.keystore.type": String = "JKS" where Any, Medium, PerBroker,
        Refuse(TLS),
        "Format of the key store.";
    "ssl.principal.mapping.rules": String = "DEFAULT" where Any, Low, ReadOnly,
        Refuse(TLS),
        "Rules that make a principal out of a distinguished name.";
    "ssl.protocol": String = "TLSv1.3" where Any, Medium, PerBroker,
        Refuse(TLS),
        "TLS version that is preferred.";
    "ssl.provider": String = none where Any, Medium, PerBroker,
        Refuse(TLS),
        "Java security provider of TLS.";
    "ssl.secure.random.implementation": String = none where Any, Low, PerBroker,
        Refuse(TLS),
        "Java source of randomness for TLS.";
    "ssl.trustmanager.algorithm": String = "PKIX" where Any, Medium, PerBroker,
        Refuse(TLS),
        "Algorithm of Java's trust manager.";
    "ssl.truststore.certificates": Password = none where Any, Medium, PerBroker,
        Refuse(TLS),
        "Trusted certificates, in PEM.";
    "ssl.truststore.location": String = none where Any, Medium, PerBroker,
        Refuse(TLS),
        "File of the trust store.";
    "ssl.truststore.password": Password = none where Any, Medium, PerBroker,
        Refuse(TLS),
        "Password of the trust store.";
    "ssl.truststore.type": String = "JKS" where Any, Medium, PerBroker,
        Refuse(TLS),
        "Format of the trust store.";
    "sasl.enabled.mechanisms": List = "GSSAPI" where Any, Medium, PerBroker,
        Refuse(SASL),
        "SASL mechanisms that clients may use.";
    "sasl.mechanism.inter.broker.protocol": String = "GSSAPI" where Any, Medium, PerBroker,
        Refuse(SASL),
        "SASL mechanism between brokers.";
    "sasl.mechanism.controller.protocol": String = "GSSAPI" where Any, High, ReadOnly,
        Refuse(SASL),
        "SASL mechanism between brokers and controllers.";
    "sasl.jaas.config": Password = none where Any, Medium, PerBroker,
        Refuse(SASL),
        "Login modules and their options.";
    "sasl.client.callback.handler.class": Class = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Class that answers what the client's side of SASL asks.";
    "sasl.server.callback.handler.class": Class = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Class that answers what the server's side of SASL asks.";
    "sasl.login.callback.handler.class": Class = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Class that answers what a login asks.";
    "sasl.login.class": Class = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Class that logs in.";
    "sasl.login.connect.timeout.ms": Int = none where Any, Low, ReadOnly,
        Refuse(SASL),
        "How long a connection to an identity provider may take to be made.";
    "sasl.login.read.timeout.ms": Int = none where Any, Low, ReadOnly,
        Refuse(SASL),
        "How long an identity provider may take to answer.";
    "sasl.login.retry.backoff.ms": Long = "100" where Any, Low, ReadOnly,
        Refuse(SASL),
        "First pause before a failed login is tried again.";
    "sasl.login.retry.backoff.max.ms": Long = "10000" where Any, Low, ReadOnly,
        Refuse(SASL),
        "Longest such pause.";
    "sasl.login.refresh.window.factor": Double = "0.8" where Any, Medium, PerBroker,
        Refuse(SASL),
        "Share of a credential's life after which it is renewed.";
    "sasl.login.refresh.window.jitter": Double = "0.05" where Any, Medium, PerBroker,
        Refuse(SASL),
        "Random share that is added to it.";
    "sasl.login.refresh.min.period.seconds": Short = "60" where Any, Medium, PerBroker,
        Refuse(SASL),
        "Shortest time between two renewals.";
    "sasl.login.refresh.buffer.seconds": Short = "300" where Any, Medium, PerBroker,
        Refuse(SASL),
        "Time before its end by which a credential must be renewed.";
    "sasl.server.max.receive.size": Int = "524288" where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Largest message during SASL authentication.";
    "sasl.kerberos.service.name": String = none where Any, Medium, PerBroker,
        Refuse(SASL),
        "Kerberos principal that brokers run as.";
    "sasl.kerberos.kinit.cmd": String = "/usr/bin/kinit" where Any, Medium, PerBroker,
        Refuse(SASL),
        "Path of kinit.";
    "sasl.kerberos.min.time.before.relogin": Long = "60000" where Any, Medium, PerBroker,
        Refuse(SASL),
        "Shortest time between two Kerberos logins, in milliseconds.";
    "sasl.kerberos.principal.to.local.rules": List = "DEFAULT" where Any, Medium, PerBroker,
        Refuse(SASL),
        "Rules that make short names out of Kerberos principals.";
    "sasl.kerberos.ticket.renew.jitter": Double = "0.05" where Any, Medium, PerBroker,
        Refuse(SASL),
        "Random share of the time to a renewal.";
    "sasl.kerberos.ticket.renew.window.factor": Double = "0.8" where Any, Medium, PerBroker,
        Refuse(SASL),
        "Share of a ticket's life after which it is renewed.";
    "sasl.oauthbearer.allow.unverified.audience": Boolean = "false" where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Whether a token's audience may go unchecked.";
    "sasl.oauthbearer.allow.unverified.issuer": Boolean = "false" where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Whether a token's issuer may go unchecked.";
    "sasl.oauthbearer.assertion.algorithm": String = "RS256" where OneOfAnyCase(&["ES256", "RS256"]), Medium, ReadOnly,
        Refuse(SASL),
        "Algorithm that signs assertions.";
    "sasl.oauthbearer.assertion.claim.aud": String = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Audience in assertions.";
    "sasl.oauthbearer.assertion.claim.exp.seconds": Int = "300" where Between(0, 86_400), Low, ReadOnly,
        Refuse(SASL),
        "How long assertions are valid.";
    "sasl.oauthbearer.assertion.claim.iss": String = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Issuer in assertions.";
    "sasl.oauthbearer.assertion.claim.jti.include": Boolean = "false" where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Whether assertions carry an id of their own.";
    "sasl.oauthbearer.assertion.claim.nbf.seconds": Int = "60" where Between(0, 3600), Low, ReadOnly,
        Refuse(SASL),
        "How far back assertions begin to be valid.";
    "sasl.oauthbearer.assertion.claim.sub": String = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Subject in assertions.";
    "sasl.oauthbearer.assertion.file": String = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "File with an assertion made elsewhere.";
    "sasl.oauthbearer.assertion.private.key.file": String = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "File with the key that signs assertions.";
    "sasl.oauthbearer.assertion.private.key.passphrase": Password = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Passphrase of that key.";
    "sasl.oauthbearer.assertion.template.file": String = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "File with further headers and claims of assertions.";
    "sasl.oauthbearer.client.credentials.client.id": String = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Client id at the identity provider.";
    "sasl.oauthbearer.client.credentials.client.secret": Password = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Client secret at the identity provider.";
    "sasl.oauthbearer.clock.skew.seconds": Int = "30" where Any, Low, ReadOnly,
        Refuse(SASL),
        "How far clocks may differ when a token's times are checked.";
    "sasl.oauthbearer.expected.audience": List = "" where Any, High, ReadOnly,
        Refuse(SASL),
        "Audiences of which a token must name one.";
    "sasl.oauthbearer.expected.issuer": String = none where Any, High, ReadOnly,
        Refuse(SASL),
        "Issuer that a token must name.";
    "sasl.oauthbearer.jwks.endpoint.url": String = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Where the provider's keys are.";
    "sasl.oauthbearer.jwks.endpoint.refresh.ms": Long = "3600000" where Any, Low, ReadOnly,
        Refuse(SASL),
        "How often they are fetched.";
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.ms": Long = "100" where Any, Low, ReadOnly,
        Refuse(SASL),
        "First pause before a failed fetch of keys is tried again.";
    "sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms": Long = "10000" where Any, Low, ReadOnly,
        Refuse(SASL),
        "Longest such pause.";
    "sasl.oauthbearer.jwt.retriever.class": Class = "org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever" where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Class that fetches tokens.";
    "sasl.oauthbearer.jwt.validator.class": Class = "org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator" where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Class that checks tokens.";
    "sasl.oauthbearer.scope": String = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Scope that is asked for.";
    "sasl.oauthbearer.scope.claim.name": String = "scope" where Any, Low, ReadOnly,
        Refuse(SASL),
        "Name of the claim with the scope.";
    "sasl.oauthbearer.sub.claim.name": String = "sub" where Any, Low, ReadOnly,
        Refuse(SASL),
        "Name of the claim with the subject.";
    "sasl.oauthbearer.token.endpoint.url": String = none where Any, Medium, ReadOnly,
        Refuse(SASL),
        "Where tokens are fetched.";
}
