select e'abc\u12'
select 1, e'x\u0000y'
select e'a\ud800b'
select e'a\xff'
select e'\U00110000'
select U&'\00'
select U&'a\+99'
select U&'d!0061t!+000061' UESCAPE '!'
select U&'x' UESCAPE 5
select U&'x' UESCAPE 'ab'
select U&'x' UESCAPE '+'
select ""
select U&"" 
select U&"d\0061t" from t
select 123abc
select 1_000, 0x1F, 0o17, 0b11, 1.5e10, 1__0
select 0x
select 0b12
select 1e+
select 1e
select $1a
select $99999999999
select b'102'
select x'1G'
select b'10
select x'1
select $a$ foo
select /* x
select @- 1
select 1 @-1
select 1 +-+ 1
select 'a' 'b'
select 'a\
select 1..2
select "abc
select e'\
select \foo
select {1}
select 1 AS "x" y
select n'abc', pg_typeof(n'abc')
select 1 <= all (array[1]), 1 != 2, 1 <> 2
select 10 ::::int
select $1$x$1$
select e'\u00e9', e'\351'
select e'\0'
select U&'\d83d\de00', U&'\d83d'
select 1 AS select, 2 from
