(* T4's lemma: a sum over whole numbers differs from the integral by the maximum at most.

   g k are the values of a function at whole numbers, area k its integral from k to k + 1; it rises up to a point between
   mode and mode + 1, and falls from there. Of integration only this is used: where the function is monotone its mean over
   a unit lies between its values at the ends. *)
From mathcomp Require Import all_ssreflect all_algebra.
Set Implicit Arguments. Unset Strict Implicit. Unset Printing Implicit Defensive.
Import Order.TTheory GRing.Theory Num.Theory.
Local Open Scope ring_scope.

Section Unimodal.
Variables (R : realFieldType) (g area : nat -> R) (mode : nat) (top : R).
Hypothesis g_start : g 0%N = 0.
Hypothesis g_top : forall k, 0 <= g k <= top.
Hypothesis rising : forall k, (k < mode)%N -> g k <= area k <= g k.+1.
Hypothesis falling : forall k, (mode < k)%N -> g k.+1 <= area k <= g k.
Hypothesis at_mode : Num.min (g mode) (g mode.+1) <= area mode <= top.

Definition total n := \sum_(k < n) g k.+1.
Definition integral n := \sum_(k < n) area k.

Lemma totalS n : total n.+1 = total n + g n.+1.
Proof. by rewrite /total big_ord_recr. Qed.
Lemma integralS n : integral n.+1 = integral n + area n.
Proof. by rewrite /integral big_ord_recr. Qed.

Lemma before_mode n : (n <= mode)%N -> integral n <= total n <= integral n + g n.
Proof.
elim: n => [|n IH] below; first by rewrite /total /integral !big_ord0 g_start addr0 lexx.
case/andP: (IH (ltnW below)) => low high; case/andP: (rising below) => left right.
rewrite totalS integralS ler_add //= ler_add2r; apply: le_trans high _.
by rewrite ler_add2l.
Qed.

Lemma after_mode n : (mode < n)%N -> integral n + g n <= total n + top /\ total n <= integral n + top.
Proof.
elim: n => // n IH; rewrite ltnS leq_eqVlt => /orP[/eqP <-|above].
  case/andP: (before_mode (leqnn mode)) => low high; case/andP: at_mode => middle most.
  rewrite totalS integralS; split.
    by rewrite [total _ + _ + top]addrAC ler_add2r ler_add.
  rewrite -addrA; apply: (@le_trans _ _ (integral mode + g mode + g mode.+1)); first by rewrite ler_add2r.
  rewrite -addrA ler_add2l; case/andP: (g_top mode) => _ t0; case/andP: (g_top mode.+1) => _ t1.
  by move: middle; case: (lerP (g mode) (g mode.+1)) => _ middle; [|rewrite addrC]; exact: ler_add.
have [low high] := IH above; case/andP: (falling above) => left right.
rewrite totalS integralS; split; last by rewrite addrAC ler_add.
by rewrite [total _ + _ + top]addrAC ler_add2r; apply: le_trans low; rewrite ler_add2l.
Qed.

(*| T4
   English: "The same proof gives |Σ_{k=1}^K g(k) − ∫_0^K g| ≤ max g"
   Python: "|u_c(N) − I_{s,c}(N)| ≤ c/(N+1)"
   Scope: the lemma, for the partial sums up to any n beyond the mode; that the terms of T4 are such a function is left
   to prose. *)
Theorem sum_against_integral n : (mode < n)%N -> `|total n - integral n| <= top.
Proof.
case/after_mode => low high; rewrite ler_norml; apply/andP; split; last by rewrite ler_subl_addl.
rewrite ler_subr_addl ler_subl_addr; apply: le_trans low.
by rewrite ler_addl; case/andP: (g_top n).
Qed.
End Unimodal.
