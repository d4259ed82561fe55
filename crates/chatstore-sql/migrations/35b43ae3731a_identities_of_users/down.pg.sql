drop table identities;
