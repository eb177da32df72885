# SPDX-License-Identifier: BSD-3-Clause
use strict; use warnings;
use threads; use threads::shared; use List::Util qw(sum max first); use POSIX qw(floor strftime); use Digest::SHA qw(sha256_hex);
use IO::Socket::UNIX; use Time::HiRes qw(sleep alarm); use Data::Dumper; use Storable qw(dclone); use Encode;
sub check { my ($ok, $what) = @_; die "wrong: $what\n" unless $ok; print "$what\n"; }
my %words; $words{$_}++ for map { lc } "The cat the dog a cat THE bird" =~ /(\w+)/g;
check(join(",", map { "$_$words{$_}" } sort keys %words) eq "a1,bird1,cat2,dog1,the3", "hashes");
(my $t = "2024-02-29") =~ s/(\d+)-(\d+)-(\d+)/$3.$2.$1/; check($t eq "29.02.2024", "patterns");
check("aaa bbb" =~ /^(?<x>a+)\s(?<y>b{3})$/ && $+{y} eq "bbb", "named groups");
my $deep = dclone({a => [1, {b => 2}]}); check($deep->{a}[1]{b} == 2, "structures");
my $total : shared = 0; my @t = map { my $n = $_; threads->create(sub { for (1 .. 100) { lock $total; $total += $n } return $n * 2 }) } 1 .. 6;
check(sum(map { $_->join } @t) == 42 && $total == 2100, "threads");
my $pid = open(my $child, "-|") // die; if (!$pid) { print "from the child\n"; exit 3 } my $line = <$child>; close $child;
check($line eq "from the child\n" && $? >> 8 == 3, "fork");
my $hit = 0; local $SIG{ALRM} = sub { $hit++ }; alarm 0.05; sleep 5; check($hit == 1, "alarm");
my $s = IO::Socket::UNIX->new(Local => "/tmp/perl.sock", Listen => 5) or die "$!"; if (!fork) { my $c = IO::Socket::UNIX->new(Peer => "/tmp/perl.sock"); print $c "hello\n"; exit 0 }
my $c = $s->accept; check(scalar(<$c>) eq "hello\n", "socket"); wait;
check(sha256_hex("abc") =~ /^ba7816bf/, "digest");
open(my $f, ">", "/tmp/perl.txt") or die; print $f "$_\n" for 1 .. 5000; close $f; open($f, "<", "/tmp/perl.txt"); my $n = 0; $n += $_ while <$f>; check($n == 12502500, "files");
my @sorted = sort { $a <=> $b } map { ($_ * 7919) % 10007 } 1 .. 10006; check($sorted[0] == 1 && $sorted[-1] == 10006, "sort");
check(eval { die { code => 42 } } || $@->{code} == 42, "exceptions"); check(length(encode("UTF-8", "\x{20ac}")) == 3, "encoding");
exit 7;
