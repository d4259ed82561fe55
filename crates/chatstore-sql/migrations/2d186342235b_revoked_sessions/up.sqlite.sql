update sessions set revoke_reason = 'revoked' where revoke_reason = 'withdrawn';
