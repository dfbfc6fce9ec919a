(* T7: against exposures, rates of consolidation of a Beta(a, b) law give a power law of exponent a.

   left a b k is the k-th moment of 1 - eta, B(a, b + k)/B(a, b), written as a product. *)
From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Exposures.
Variable R : realFieldType.

(* The rising factorial x (x + 1) ... (x + n - 1) = Gamma(x + n)/Gamma(x). *)
Definition rising (x : R) n := \prod_(i < n) (x + i%:R).
Definition left (a b : R) k := rising b k / rising (a + b) k.

Lemma rising_gt0 x n : 0 < x -> 0 < rising x n.
Proof. by move=> x0; apply: prodr_gt0 => i _; rewrite ltr_paddr ?ler0n. Qed.

Lemma risingS x n : rising x n.+1 = rising x n * (x + n%:R).
Proof. by rewrite /rising big_ord_recr. Qed.

Lemma rising_add x m n : rising x (m + n) = rising x m * rising (x + m%:R) n.
Proof.
by rewrite /rising big_split_ord; congr (_ * _); apply: eq_bigr => i _; rewrite /= natrD addrA.
Qed.

Section Law.
Variables a b : R.
Hypothesis a_gt0 : 0 < a.
Hypothesis b_gt0 : 0 < b.

Lemma left_start : left a b 0 = 1.
Proof. by rewrite /left /rising !big_ord0 divr1. Qed.

Lemma leftS k : left a b k.+1 = left a b k * ((b + k%:R) / (a + b + k%:R)).
Proof. by rewrite /left !risingS mulf_div. Qed.

(*| T7
   English: "the next exposure consolidates a share a/(a+b+k) of them"
   Python: "the k-th exposure consolidates a/(a+b+k−1) of them"
   Scope: every a, b > 0; that these products are the moments of the Beta law is left to prose. *)
Theorem next_exposure k : left a b k - left a b k.+1 = left a b k * (a / (a + b + k%:R)).
Proof.
have c0 : a + b + k%:R != 0 by rewrite gt_eqF // ltr_paddr ?ler0n ?addr_gt0.
rewrite leftS -{1}[left a b k]mulr1 -mulrBr; congr (_ * _).
by rewrite -[X in X - _](divff c0) -mulrBl -addrA addrK.
Qed.
End Law.

(* A whole exponent n: left is a quotient of two products of n factors. *)
Section WholeExponent.
Variables (n : nat) (b : R).
Hypothesis b_gt0 : 0 < b.

Lemma left_whole k : left n%:R b k = rising b n / rising (b + k%:R) n.
Proof.
have nb : 0 < n%:R + b by rewrite ltr_paddl ?ler0n.
have bk : 0 < b + k%:R by rewrite ltr_paddr ?ler0n.
apply/eqP; rewrite /left eqr_div ?lt0r_neq0 ?rising_gt0 //; apply/eqP.
by rewrite -rising_add addnC rising_add [n%:R + b]addrC.
Qed.

Lemma rising_range x m : 0 < x -> x ^+ m <= rising x m <= (x + m%:R) ^+ m.
Proof.
move=> x0; have power (y : R) : y ^+ m = \prod_(i < m) y by rewrite prodr_const card_ord.
have x_ge0 := ltW x0; rewrite (power x) (power (x + _)).
apply/andP; split; apply: ler_prod => i _; first by rewrite x_ge0 ler_addl ler0n.
by rewrite addr_ge0 ?ler0n //= ler_add2l ler_nat; exact: ltnW (ltn_ord i).
Qed.

(*| T7
   English: "Γ(a+b)/Γ(b)·(b+k+a)^−a ≤ P(k) ≤ Γ(a+b)/Γ(b)·(b+k−1/2)^−a"
   Python: "Γ(a+b)/Γ(b)·(b+k+a)^−a ≤ P(k) ≤ Γ(a+b)/Γ(b)·(b+k−1/2)^−a"
   Scope: whole a, where Γ(a+b)/Γ(b) is a product; the upper limit is sharper here. *)
Theorem power_law k : rising b n / (b + k%:R + n%:R) ^+ n <= left n%:R b k <= rising b n / (b + k%:R) ^+ n.
Proof.
have bk : 0 < b + k%:R by rewrite ltr_paddr ?ler0n.
rewrite left_whole; case/andP: (rising_range n bk) => low high.
have r0 := rising_gt0 n bk; have b0 := rising_gt0 n b_gt0.
rewrite !ler_pmul2l //; apply/andP; split.
  by rewrite lef_pinv ?posrE // exprn_gt0 // ltr_paddr ?ler0n.
by rewrite lef_pinv ?posrE // exprn_gt0.
Qed.
End WholeExponent.
End Exposures.
